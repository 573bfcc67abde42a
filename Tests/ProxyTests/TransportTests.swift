import HTTP
import Octets
import Reactor
import TLS
import Testing

@testable import Proxy

/// A connection in TLS whose peer has ended its side, as the kernel says: its end may be behind a part of a record.
@Suite struct `The end of a TLS connection` {
    private func transport(_ bench: Bench) throws -> (transport: Transport, far: Peer) {
        let server = try bench.server()
        let near = try #require(SocketAddress(unixPath: "\(bench.name)-0"))
        let far = Peer(try Socket.connect(near))
        let accepted = try #require(try server.accept())
        let tls = try TLSSession(selector: try PeerCertificates.shared.selector(), descriptor: accepted.descriptor)
        return (Transport(descriptor: accepted.descriptor, tls: tls), far)
    }

    @Test func `is given up when its end does not come`() throws {
        let bench = try Bench()
        let (transport, far) = try transport(bench)
        let buffer = OctetBuffer(capacity: 64)
        #expect(transport.read(into: buffer, most: 64, hasHungUp: false) == .wouldBlock)
        #expect(transport.handshake(hasHungUp: false) == .wantsRead)
        // The kernel says that the end is there, and it never comes.
        #expect(Transport.mostReadsToTheEnd == 1000)
        #expect(transport.read(into: buffer, most: 64, hasHungUp: true) == .closed)
        #expect(transport.handshake(hasHungUp: true) == .closed)
        far.close()
    }
}
