import Manifests
import Reactor
import Support
import TLS
import Testing

@testable import Control
@testable import Routing

/// Servers of `tls.mode: ISTIO_MUTUAL`, without a socket. Source: docs/configuration.md, Client certificates.
@Suite struct `A server with the identity of the mesh` {
    private var directory: CertificateDirectory
    private let folder = TemporaryFolder()
    private static let gateway = ObjectReference(kind: "Gateway", namespace: "edge", name: "gw")

    init() { directory = CertificateDirectory(meshFolder: folder.path) }

    private mutating func load(_ clients: ClientDemand.Authorities = .mesh) -> TLSContext? {
        let chain = TLSChain(
            serverNames: ["*"], certificates: [.mesh], minVersion: nil, maxVersion: nil, cipherSuites: [], table: 0,
            gateway: Self.gateway, place: SourcePlace(file: "gw.yaml", line: 7, column: 3),
            clients: ClientDemand(isOptional: false, authorities: clients))
        let plan = RoutingPlan(
            listeners: [ListenerPlan(bind: "", port: 443, isMesh: false, clearTable: nil, chains: [chain])])
        return directory.contexts(of: plan, secrets: []).first?.first ?? nil
    }

    private var messages: String { directory.diagnostics.map(\.message).joined(separator: "\n") }

    private func write(_ name: String) throws {
        folder.write("root-cert.pem", try Certificates.text("\(name).pem"))
        folder.write("key.pem", try Certificates.text("\(name).key"))
        folder.write("cert-chain.pem", try Certificates.text("\(name).pem"))
    }

    @Test mutating func `waits for Istio's agent, and follows its renewals`() throws {
        #expect(load() == nil)
        #expect(messages.contains("there is no certificate of Istio's agent in \(folder.path)"), "\(messages)")
        #expect(messages.contains("no client is accepted"), "\(messages)")
        #expect(directory.stamps["\(folder.path)/cert-chain.pem"] == .some(nil))
        try write("one")
        let first = try #require(load())
        #expect(first.verification != nil && messages == "" && load() === first)
        #expect(
            Set(directory.stamps.keys.map { $0.dropFirst(folder.path.count + 1) })
                == ["cert-chain.pem", "key.pem", "root-cert.pem"])
        #expect(directory.stamps.values.allSatisfy { $0 != nil })
        try write("two")
        let second = try #require(load())
        #expect(second !== first && second.verification !== first.verification)
    }

    @Test mutating func `keeps its last good certificate, and never its last good authorities`() throws {
        try write("one")
        let first = try #require(load())
        folder.write("key.pem", "nonsense")
        #expect(load() === first && messages.contains("the last good certificate is still served"), "\(messages)")
        folder.write("root-cert.pem", "nonsense")
        #expect(load() == nil && messages.contains("no client is accepted"), "\(messages)")
    }

    @Test mutating func `has other files of the servers watched`() throws {
        try write("one")
        let authorities = folder.write("ca.pem", try Certificates.text("one.pem"))
        #expect(load(.file(authorities)) != nil)
        #expect(directory.stamps[authorities] == .some(FileStamp(authorities)))
    }
}
