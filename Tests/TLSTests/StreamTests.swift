import Glibc
import Testing

@testable import TLS

private let certificates = Certificates.shared

@Suite struct `A TLS stream` {
    private func line(_ version: TLSVersion = .tls13) throws -> Line {
        let client = try certificates.client(minVersion: version, maxVersion: version)
        let line = try Line(selector((["*"], try certificates.context("ec"))), client: client)
        #expect(line.shakeHands() == (.done, .done))
        return line
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `takes big writes piece by piece and loses nothing`(version: TLSVersion) throws {
        let line = try line(version)
        let client = try #require(line.client)
        let message = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        var sent = 0
        var received: [UInt8] = []
        var wasFull = false
        for _ in 0..<10_000 where received.count < message.count {
            // A copy each time: the octets move between calls.
            let rest = Array(message[sent...])
            switch line.server.send(rest) {
            case .octets(let count):
                wasFull = wasFull || count < rest.count
                sent += count
            case .wantsWrite: wasFull = true
            case let other: Issue.record("unexpected: \(other)")
            }
            received += client.receive().octets
        }
        #expect(wasFull)
        #expect(received == message)
    }

    @Test func `takes its buffers from the one that was idle longest, which is counted`() throws {
        let buffers = TLSBuffers()
        _ = buffers.takeDisplaced()
        var lines: [Line] = []
        for _ in 0...RecordScratch.holdersLimit { lines.append(try line()) }
        #expect(buffers.takeDisplaced() > 0)
        #expect(lines[0].client?.send([7]) == .octets(1) && lines[0].server.receive().octets == [7])
    }

    @Test func `fills the room from several records at once`() throws {
        let line = try line()
        for octet in UInt8(0)..<50 { #expect(line.client?.send([octet]) == .octets(1)) }
        #expect(line.server.receive(limit: 50).octets == Array(0..<50))
    }

    /// Each costs us more than its sender, and one read would go through thousands of them.
    @Test(arguments: [false, true]) func `ends when keys are renewed over and over`(hasData: Bool) throws {
        let line = try line()
        let client = try #require(line.client)
        for _ in 0..<100 {
            #expect(client.renewKeys())
            if hasData { #expect(client.send([7]) == .octets(1)) }
        }
        let (octets, after) = line.server.receive()
        guard case .failed(.brokenStream(let reason)) = after else {
            Issue.record("\(after) after \(octets.count) octets")
            return
        }
        #expect(reason.contains("KeyUpdate") && line.server.breach == .brokenStream(reason))
        #expect(octets.count < 70 && line.server.receive() == ([], after))
    }

    @Test func `has its keys renewed now and then, as long as it lasts`() throws {
        let line = try line()
        let client = try #require(line.client)
        for round in 0..<500 {
            #expect(client.renewKeys())
            #expect(client.send([7]) == .octets(1))
            #expect(line.server.receive() == ([7], .wantsRead), "round \(round)")
            #expect(line.server.send([8]) == .octets(1))
            #expect(client.receive() == ([8], .wantsRead), "round \(round)")
        }
        // On a connection without data, too: BoringSSL bears 32.
        for _ in 0..<32 { #expect(client.renewKeys()) }
        #expect(line.server.receive() == ([], .wantsRead))
        #expect(line.server.breach == nil)
    }

    @Test func `gives what is in a bounded number of records, and the rest with the next read`() throws {
        let line = try line()
        let client = try #require(line.client)
        var room: CInt = 4 << 20    // the kernel gives as much of it as it may
        _ = unsafe setsockopt(line.near, SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<CInt>.size))
        var sent = 0
        while sent < 2 * TLSSession.recordsPerRead, client.send([UInt8(truncatingIfNeeded: sent)]) == .octets(1) {
            sent += 1
        }
        try #require(sent > TLSSession.recordsPerRead)
        var reads: [Int] = []
        var octets: [UInt8] = []
        while octets.count < sent {
            let part = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 16) { room, count in
                guard case .octets(let got) = unsafe line.server.read(into: UnsafeMutableRawBufferPointer(room)) else {
                    return
                }
                count = got
            }
            guard !part.isEmpty else { break }
            #expect(line.server.recordsRead == part.count)
            #expect(octets.count + part.count == sent || !line.server.isDrained)
            reads.append(part.count)
            octets += part
        }
        #expect(reads.dropLast().allSatisfy { $0 == TLSSession.recordsPerRead } && reads.count == (sent + 255) / 256)
        #expect(octets == (0..<sent).map { UInt8(truncatingIfNeeded: $0) })
    }

    /// Or what came meanwhile would wait for an event that has been.
    @Test func `has not emptied the socket when it was not asked`() throws {
        let line = try line()
        let client = try #require(line.client)
        let server = line.server
        func read(_ most: Int) -> [UInt8] {
            unsafe [UInt8](unsafeUninitializedCapacity: most) { room, count in
                let room = unsafe UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(room)[..<most])
                if case .octets(let got) = unsafe server.read(into: room) { count = got }
            }
        }
        #expect(client.send(Array(repeating: 1, count: 20_000)) == .octets(20_000))
        #expect(read(12_000).count == 12_000 && !server.isDrained)
        #expect(client.send([2]) == .octets(1))
        #expect(read(12_000).count == 8000 && !server.isDrained)
        #expect(read(12_000) == [2] && server.isDrained)
    }

    @Test func `ends with close_notify, after all that was written`() throws {
        let line = try line()
        #expect(line.client?.send([1, 2, 3]) == .octets(3))
        line.client?.shutdown()
        line.client?.shutdown()
        #expect(line.server.receive() == ([1, 2, 3], .closed))
        // The other direction stays open.
        #expect(line.server.send([4]) == .octets(1))
        #expect(line.client?.receive().octets == [4])
    }

    @Test func `counts an end without close_notify as closed`() throws {
        let line = try line()
        line.hangUp()
        #expect(line.server.receive() == ([], .closed))
        line.server.shutdown()
        #expect(!line.hasArrived, "nobody is there to hear a goodbye")
        #expect(line.server.receive().after == .closed)
    }

    @Test func `reports a write to a peer that is gone`() throws {
        let line = try line()
        shutdown(line.near, CInt(SHUT_RDWR))
        #expect(line.server.send([1]) == .failed(.connectionLost(errno: EPIPE)))
        line.server.shutdown()
    }

    @Test func `says in the system's words how a connection was lost`() {
        let error = TLSError.connectionLost(errno: ECONNRESET)
        #expect(error.description == "the connection is lost: Connection reset by peer")
        #expect(error.words == "Connection reset by peer")
    }

    @Test func `breaks on a damaged record`() throws {
        let line = try line()
        line.inject([23, 3, 3, 0, 32] + [UInt8](repeating: 7, count: 32))
        #expect(
            line.server.receive().after
                == .failed(.brokenStream("decryption failed or bad record mac")))
        #expect(
            line.server.send([1]) == .failed(.brokenStream("decryption failed or bad record mac")))
    }

    @Test func `does nothing for empty room and no octets`() throws {
        let line = try line()
        #expect(
            unsafe line.server.read(into: UnsafeMutableRawBufferPointer(start: nil, count: 0))
                == .octets(0))
        #expect(line.server.send([]) == .octets(0))
        #expect(line.server.receive() == ([], .wantsRead))
    }
}

@Suite struct `Garbage instead of a ClientHello` {
    private func server() throws -> Line {
        try Line(selector((["*"], try certificates.context("ec"))), client: nil)
    }

    @Test func `that is HTTP is named so`() throws {
        let line = try server()
        line.inject(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        #expect(line.server.handshake() == .failed(.plainHTTP))
    }

    @Test func `fails and stays failed`() throws {
        let line = try server()
        line.inject([UInt8](repeating: 0xff, count: 400))
        guard case .failed(.handshakeFailed) = line.server.handshake() else {
            Issue.record("not refused")
            return
        }
        line.server.shutdown()
        guard case .failed(.handshakeFailed) = line.server.receive().after else {
            Issue.record("not remembered")
            return
        }
    }

    @Test func `never traps, wherever a real one is cut or damaged`() throws {
        let hello = try clientHello()
        let table = selector((["*"], try certificates.context("ec")))
        for length in stride(from: 0, to: hello.count, by: 7) {
            let line = try Line(table, client: nil)
            line.inject(Array(hello[..<length]))
            #expect(line.server.handshake() == .wantsRead)
            line.hangUp()
            #expect(line.server.handshake() == .closed)
        }
        for index in hello.indices {
            let line = try Line(table, client: nil)
            var damaged = hello
            damaged[index] ^= 0xff
            line.inject(damaged)
            line.hangUp()
            #expect(line.server.handshake() != .done)
        }
    }

    private func clientHello() throws -> [UInt8] {
        let line = try Line(selector(), client: try certificates.client())
        #expect(line.client?.handshake() == .wantsRead)
        return unsafe [UInt8](unsafeUninitializedCapacity: 4096) { room, count in
            count = max(0, unsafe Glibc.read(line.far, room.baseAddress, room.count))
        }
    }
}

@Suite struct `A session ticket` {
    private func visit(
        _ table: TLSSelector, _ version: TLSVersion, name: String = "one.example.test",
        resuming: TLSTicket? = nil
    ) throws -> (ticket: TLSTicket?, isResumed: Bool) {
        let client = try TLSClientContext(
            verifiesPeer: false, minVersion: version, maxVersion: version)
        let line = try Line(table, client: client, name: name, resuming: resuming)
        #expect(line.shakeHands() == (.done, .done))
        #expect(line.server.send([1]) == .octets(1))
        #expect(line.client?.receive().octets == [1])
        #expect(line.server.isResumed == line.client?.isResumed)
        return (line.client?.ticket(), line.server.isResumed)
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `resumes on the same chain, also after a reload`(version: TLSVersion) throws {
        let table = selector((["*"], try certificates.context("ec")))
        let first = try visit(table, version)
        #expect(!first.isResumed)
        #expect(try visit(table, version, resuming: first.ticket).isResumed)
        let reloaded = selector((["*"], try certificates.context("ec")))
        let ticket = try visit(reloaded, version).ticket
        #expect(try visit(reloaded, version, resuming: ticket).isResumed)
        #expect(try visit(table, version, resuming: ticket).isResumed)
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `does not resume on another chain`(version: TLSVersion) throws {
        let context = try certificates.context("ec")
        let table = selector((["one.example.test"], context), (["other.test"], context))
        let first = try visit(table, version)
        #expect(try !visit(table, version, name: "other.test", resuming: first.ticket).isResumed)
        let renewed = selector((["one.example.test"], try certificates.context("wild")))
        let again = try visit(table, version)
        #expect(try !visit(renewed, version, resuming: again.ticket).isResumed)
    }

    private func line(_ protocols: [String]) throws -> Line {
        let client = try certificates.client(protocols: protocols, minVersion: .tls13)
        let line = try Line(selector((["*"], try certificates.context("ec"))), client: client)
        #expect(line.shakeHands() == (.done, .done))
        return line
    }

    @Test func `goes with the first octets of HTTP/2, whose server speaks first`() throws {
        let line = try line(["h2"])
        #expect(!line.hasArrived)
        #expect(line.server.send([1]) == .octets(1))
        #expect(line.client?.receive().octets == [1])
        #expect(line.client?.ticket() != nil)
    }

    @Test(arguments: [["http/1.1"], []])
    func `does not wait for other protocols`(protocols: [String]) throws {
        #expect(try line(protocols).hasArrived)
    }

    @Test func `goes before the goodbye at the latest`() throws {
        let line = try line(["h2"])
        line.server.shutdown()
        #expect(line.client?.receive().after == .closed)
        #expect(line.client?.ticket() != nil)
    }
}
