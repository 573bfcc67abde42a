internal import Octets

/// The cipher suites a server offers, in its order of preference.
/// OpenSSL skips names it does not know; we refuse them, so every name is looked up here first.
struct CipherSuites {
    /// OpenSSL's list for versions up to 1.2, and the one for 1.3.
    let list: String
    /// OpenSSL has a list of its own for TLS 1.3, whose suites no Gateway can choose.
    let list13: String

    /// ECDHE with an AEAD: the whole of what TLS 1.2 needs with clients of the last ten years.
    /// 128 bits first: as strong in practice, and cheaper.
    static let modern = [
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
    ]
    /// What TLS 1.0 and 1.1 clients, or an explicit list, may use besides.
    static let old = [
        "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA",
    ]
    /// Without forward secrecy: only by name. Source: istio/istio pkg/config/security/security.go.
    static let withoutForwardSecrecy = [
        "AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA",
    ]
    static let modern13 = [
        "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
    ]

    /// All names for versions up to 1.2.
    static let known = modern + old + withoutForwardSecrecy

    init(names: [String], lowest: TLSVersion) throws(TLSError) {
        let known = Self.known
        var chosen: [String] = []
        var chosen13: [String] = []
        for name in names {
            if Self.modern13.contains(name) {
                chosen13.append(name)
            } else if known.contains(name) {
                chosen.append(name)
            } else {
                let nearest = NearestName.find(name, among: known + Self.modern13)
                throw .unknownCipherSuite(name: name, nearest: nearest)
            }
        }
        let isOld = lowest < .tls12
        if chosen.isEmpty { chosen = isOld ? Self.modern + Self.old : Self.modern }
        // TLS 1.0 and 1.1 sign with SHA-1 and MD5, which level 1 and above forbid. Level 2, Debian's
        // default: keys of 112 bits, no SHA-1 signatures.
        list = (chosen + [isOld ? "@SECLEVEL=0" : "@SECLEVEL=2"]).joined(separator: ":")
        list13 = (chosen13.isEmpty ? Self.modern13 : chosen13).joined(separator: ":")
    }
}
