import Glibc
import Support
import Testing

@testable import TLS

/// Certificates made once for the whole run by the openssl command, in a folder of its own.
struct Certificates {
    static let shared = Certificates()
    private let folder = TemporaryFolder()

    /// A test CA and what it signed: NAME.pem and NAME.key.
    private static let script = """
        set -e
        ec() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
        rsa() { openssl genrsa -out "$1.key" 2048; }
        sign() {
            openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
            printf 'subjectAltName=%s\\n' "$3" > "$1.ext"
            openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -days "$4" -extfile "$1.ext" -out "$1.pem"
        }
        ec ca
        openssl req -x509 -new -key ca.key -subj /CN=test-ca -days 30 -out ca.pem
        rsa rsa; sign rsa /CN=one.example.test/O=Acme DNS:one.example.test,DNS:localhost,IP:127.0.0.1 30
        ec ec; sign ec /CN=one.example.test/O=Acme DNS:one.example.test,DNS:localhost,IP:127.0.0.1 30
        ec wild; sign wild /CN=wild 'DNS:*.example.test' 30
        ec other; sign other /CN=other DNS:other.test,IP:::1 30
        ec old; sign old /CN=old DNS:old.test -1
        ec bare
        openssl req -x509 -new -key bare.key -subj /CN=bare -days 30 -out bare.pem
        openssl genrsa -out weak.key 1024; sign weak /CN=weak DNS:weak.test 30
        openssl pkey -in ec.key -aes256 -passout pass:secret -out locked.key
        cat ec.pem ca.pem > chain.pem
        cat ca.pem ec.pem > reversed.pem
        """

    init() {
        guard folder.run(Self.script) else { preconditionFailure("the openssl command failed in \(folder.path)") }
    }

    subscript(file: String) -> [UInt8] { folder.read(file) }

    func pair(_ name: String) -> TLSContext.Certificate {
        TLSContext.Certificate(chain: self[name + ".pem"], key: self[name + ".key"])
    }

    func context(_ names: String..., minVersion: TLSVersion = .tls12, maxVersion: TLSVersion = .tls13)
        throws -> TLSContext
    {
        try TLSContext(
            certificates: names.map(pair), minVersion: minVersion, maxVersion: maxVersion)
    }

    func client(
        protocols: [String] = ["h2", "http/1.1"], minVersion: TLSVersion = .tls12,
        maxVersion: TLSVersion = .tls13, cipherSuites: [String] = [],
        groups: [String] = ["X25519", "P-256"]
    ) throws -> TLSClientContext {
        try TLSClientContext(
            trusted: self["ca.pem"], protocols: protocols, minVersion: minVersion,
            maxVersion: maxVersion, cipherSuites: cipherSuites, groups: groups)
    }
}

/// A client and a server on both ends of a socket pair.
final class Line {
    let near: CInt    // the client's end
    let far: CInt    // the server's end
    private(set) var client: TLSSession?
    let server: TLSSession

    init(
        _ selector: TLSSelector, client: TLSClientContext?, name: String = "one.example.test",
        resuming: TLSTicket? = nil
    ) throws {
        signal(SIGPIPE, SIG_IGN)
        var ends: [CInt] = [0, 0]
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        precondition(unsafe socketpair(AF_UNIX, type, 0, &ends) == 0)
        (near, far) = (ends[0], ends[1])
        server = try TLSSession(selector: selector, descriptor: far)
        self.client = try client.map {
            try TLSSession(client: $0, serverName: name, descriptor: near, resuming: resuming)
        }
    }

    deinit {
        close(near)
        close(far)
    }

    /// Lets both sides go on until neither can.
    @discardableResult func shakeHands() -> (client: TLSProgress, server: TLSProgress) {
        var states = (client: TLSProgress.wantsRead, server: TLSProgress.wantsRead)
        for _ in 0..<8 {
            if let client { states.client = client.handshake() }
            states.server = server.handshake()
        }
        return states
    }

    /// Octets into the server's end that no TLS client would send.
    func inject(_ octets: [UInt8]) { _ = unsafe write(near, octets, octets.count) }
    func hangUp() { shutdown(near, CInt(SHUT_WR)) }
    /// Octets wait at the client's end.
    var hasArrived: Bool {
        var octet: UInt8 = 0
        return unsafe recv(near, &octet, 1, CInt(MSG_PEEK)) == 1
    }
}

extension TLSSession {
    func send(_ octets: [UInt8]) -> TLSResult { unsafe octets.withUnsafeBytes { unsafe write($0) } }

    /// All that is there, at most `limit` octets, and what came after it.
    func receive(limit: Int = 1 << 16) -> (octets: [UInt8], after: TLSResult) {
        var after = TLSResult.wantsRead
        var all: [UInt8] = []
        while all.count < limit {
            let part = unsafe [UInt8](unsafeUninitializedCapacity: limit - all.count) {
                room, count in
                after = unsafe read(into: UnsafeMutableRawBufferPointer(room))
                if case .octets(let got) = after { count = got }
            }
            guard case .octets = after else { break }
            all += part
        }
        return (all, after)
    }
}

func selector(_ contexts: (names: [String], context: TLSContext)...) -> TLSSelector {
    TLSSelector(chains: contexts.enumerated().map { ($1.names, $1.context, $0) })
}
