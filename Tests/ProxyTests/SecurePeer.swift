import Octets
import Support
import TLS
import Testing

@testable import Proxy

/// Certificates made once for the run by the openssl command: an authority, `good` for `a.test` and `*.b.test`, `old`
/// that has expired, and `client`.
struct PeerCertificates {
    static let shared = PeerCertificates()
    private let folder = TemporaryFolder()

    private static let script = """
        set -e
        key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
        sign() {
            key "$1"
            openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
            printf 'subjectAltName=%s\\n' "$2" > "$1.ext"
            openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -days "$3" -extfile "$1.ext" -out "$1.pem"
        }
        key ca; openssl req -x509 -new -key ca.key -subj /CN=ca -days 30 -out ca.pem
        key other; openssl req -x509 -new -key other.key -subj /CN=other -days 30 -out other.pem
        sign good 'DNS:a.test,DNS:*.b.test,IP:127.0.0.1,URI:spiffe://td/ns/app/sa/web' 30
        sign old DNS:a.test -1
        sign client DNS:client.test 30
        """

    init() {
        guard folder.run(Self.script) else { preconditionFailure("the openssl command failed in \(folder.path)") }
    }

    subscript(file: String) -> [UInt8] { folder.read(file) }

    func pair(_ name: String) throws -> KeyPair {
        try KeyPair.read(TLSContext.Certificate(chain: self[name + ".pem"], key: self[name + ".key"]))
    }

    /// What a cluster asks for.
    func security(
        authority: String = "ca.pem", identity: String? = nil,
        _ adjust: (inout UpstreamSecurity.Peer) -> Void = { _ in }
    ) throws -> UpstreamSecurity {
        let verification = try PeerVerification(PeerRequirement(authorities: .pem(self[authority])))
        let context = try TLSClientContext(
            verification: verification, identity: try identity.map { try pair($0) }, protocols: [])
        var peer = UpstreamSecurity.Peer()
        peer.needsHost = true
        adjust(&peer)
        return UpstreamSecurity(context: context, peer: peer)
    }

    func selector(_ name: String = "good", demandsCertificate: Bool = false) throws -> TLSSelector {
        let verification =
            demandsCertificate ? try PeerVerification(PeerRequirement(authorities: .pem(self["ca.pem"]))) : nil
        let context = try TLSContext(pairs: [try pair(name)], verification: verification)
        return TLSSelector(chains: [(serverNames: ["*"], context: context, number: 0)])
    }
}

/// An endpoint's end of a connection, in TLS.
final class SecurePeer {
    let tls: TLSSession
    private let peer: Peer
    private(set) var progress = TLSProgress.wantsRead

    init(_ peer: Peer, _ selector: TLSSelector) throws {
        self.peer = peer
        tls = try TLSSession(selector: selector, descriptor: peer.descriptor)
    }

    /// Goes through the handshake, as far as the worker does.
    func meet(_ bench: Bench) {
        for _ in 0..<4 {
            progress = tls.handshake()
            bench.settle()
        }
    }

    func text() -> String {
        var room = [UInt8](repeating: 0, count: 65_536)
        guard case .octets(let count) = unsafe room.withUnsafeMutableBytes({ unsafe tls.read(into: $0) }) else {
            return ""
        }
        return String(decoding: room[..<count], as: UTF8.self)
    }

    func send(_ text: String) {
        _ = unsafe Array(text.utf8).withUnsafeBytes { unsafe tls.write($0) }
    }
}
