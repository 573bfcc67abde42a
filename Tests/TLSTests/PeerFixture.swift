import Support

@testable import TLS

/// Certificates of clients and their authorities, made once for the whole run by the openssl command.
struct PeerCertificates {
    static let shared = PeerCertificates()
    private let folder = TemporaryFolder()

    /// `root` signs `middle`, which signs `under`; `root` signs all else but `stranger`, which `foreign` signs.
    private static let script = """
        set -e
        key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
        authority() {
            key "$1"
            openssl req -x509 -new -key "$1.key" -subj "/CN=$1" -days 30 -out "$1.pem" \
                -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
        }
        sign() {
            key "$1"
            openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
            printf '%b' "$3" > "$1.ext"
            openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -days "$4" -extfile "$1.ext" -out "$1.pem"
        }
        authority root; authority foreign
        names='subjectAltName=DNS:client.test,DNS:*.wild.test,URI:spiffe://cluster.local/ns/a/sa/b'
        names="$names,email:a@b.test,IP:127.0.0.1"
        sign good root "$names\\nextendedKeyUsage=clientAuth\\n" 30
        sign nameless root 'basicConstraints=CA:FALSE\\n' 30
        sign expired root "$names\\n" -1
        sign revoked root "$names\\n" 30
        sign stranger foreign "$names\\n" 30
        sign server root 'subjectAltName=DNS:one.example.test\\nextendedKeyUsage=serverAuth\\n' 30
        sign middle root 'basicConstraints=critical,CA:TRUE\\nkeyUsage=keyCertSign,cRLSign\\n' 30
        sign under middle "$names\\n" 30
        cat under.pem middle.pem > chain.pem; cp under.key chain.key
        cat root.pem foreign.pem > both.pem
        printf '[ca]\\ndefault_ca=c\\n[c]\\ndatabase=index\\ncrlnumber=number\\ndefault_md=sha256\\n' > ca.cnf
        : > index; echo 01 > number
        openssl ca -config ca.cnf -cert root.pem -keyfile root.key -gencrl -crldays 30 -out empty.crl
        openssl ca -config ca.cnf -cert root.pem -keyfile root.key -revoke revoked.pem
        openssl ca -config ca.cnf -cert root.pem -keyfile root.key -gencrl -crldays 30 -out root.crl
        openssl ca -config ca.cnf -cert root.pem -keyfile root.key -gencrl \
            -crl_lastupdate 20200101000000Z -crl_nextupdate 20200201000000Z -out old.crl
        openssl ca -config ca.cnf -cert foreign.pem -keyfile foreign.key -gencrl -crldays 30 -out foreign.crl
        openssl x509 -in good.pem -noout -fingerprint -sha256 | sed 's/.*=//' | tr -d '\\n' > good.hash
        openssl x509 -in good.pem -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary \
            | openssl base64 | tr -d '\\n' > good.spki
        """

    init() {
        guard folder.run(Self.script) else { preconditionFailure("the openssl command failed in \(folder.path)") }
    }

    subscript(file: String) -> [UInt8] { folder.read(file) }
    func text(_ file: String) -> String { String(decoding: folder.read(file), as: UTF8.self) }

    func pair(_ name: String) throws -> KeyPair {
        try KeyPair.read(TLSContext.Certificate(chain: self[name + ".pem"], key: self[name + ".key"]))
    }

    /// A requirement by `root`, changed by `change`.
    func requirement(_ authority: String = "root.pem", _ change: (inout PeerRequirement) -> Void = { _ in })
        -> PeerRequirement
    {
        var requirement = PeerRequirement(authorities: .pem(self[authority]))
        change(&requirement)
        return requirement
    }

    /// A server that asks its clients for this.
    func server(_ requirement: PeerRequirement) throws -> TLSSelector {
        let verification = try PeerVerification(requirement)
        let context = try TLSContext(pairs: [pair("server")], verification: verification)
        return TLSSelector(chains: [(["*"], context, 0)])
    }

    func client(_ name: String?, version: TLSVersion = .tls13) throws -> TLSClientContext {
        try TLSClientContext(
            trusted: self["root.pem"], identity: name.map { try pair($0) }, minVersion: version, maxVersion: version)
    }
}
