import Manifests
import TLS
import Testing

@testable import Control
@testable import Routing

@Suite struct `A server without a certificate` {
    private static func chain(_ name: String, relay: Int?) -> TLSChain {
        TLSChain(
            serverNames: [name], certificates: [], minVersion: nil, maxVersion: nil, cipherSuites: [], table: 0,
            gateway: ObjectReference(kind: "Gateway", namespace: "edge", name: "gw"),
            place: SourcePlace(file: "gw.yaml", line: 7, column: 3), relay: relay)
    }

    /// Requests of a wider server are looked up by their authority; the octets of a relay are not looked at.
    @Test(arguments: [(0, .close), (nil, .terminate)] as [(Int?, TLSSelector.Choice)])
    func `keeps its names where a wider one relays`(relay: Int?, choice: TLSSelector.Choice) throws {
        let pair = try KeyPair.read(
            TLSContext.Certificate(
                chain: Array(Certificates.text("one.pem").utf8), key: Array(Certificates.text("one.key").utf8)))
        let listener = ListenerPlan(
            bind: "", port: 443, isMesh: false, clearTable: nil,
            chains: [Self.chain("x.a.com", relay: nil), Self.chain("*.a.com", relay: relay)])
        let selector = try #require(Configuration.selector(listener, [nil, try TLSContext(pairs: [pair])]))
        #expect(selector.choice(serverName: "x.a.com") == choice)
        #expect(selector.choice(serverName: "y.a.com") == .terminate)
    }
}
