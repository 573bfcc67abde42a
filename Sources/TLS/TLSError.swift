/// Why a certificate cannot be served, or a connection cannot go on.
/// Cases carry facts; `description` makes the sentence, and says what to do where that is known.
package enum TLSError: Error, Equatable, Sendable {
    // The operator's side: certificates, keys and settings.
    /// The chain holds no certificate; `found` is the label of the first PEM block that is there.
    case noCertificate(found: String?)
    /// The certificate at `position` (from 1) of the chain cannot be read.
    case unreadableCertificate(position: Int, reason: String)
    case noKey(found: String?)
    case encryptedKey
    case unreadableKey(reason: String)
    /// The key belongs to another certificate; `position` is set when that one is in the chain.
    case keyMismatch(subject: String, position: Int?)
    case sameKeyTypeTwice(keyType: String)
    /// OpenSSL refuses to serve it: key too small, signature by MD5 or SHA-1 ...
    case refusedCertificate(subject: String, reason: String)
    case tooLarge(what: String, limit: Int)
    case unknownCipherSuite(name: String, nearest: String?)
    case versionsReversed(lowest: TLSVersion, highest: TLSVersion)
    case unusableTrust(reason: String)
    case unusableRevocations(reason: String)
    /// A pinned digest is not in its form.
    case unusablePin(String, form: String)

    // The peer's side.
    /// No chain of the listener serves this name; nil: the client named none.
    case unknownServerName(String?)
    /// The peer speaks clear-text HTTP to a TLS port.
    case plainHTTP
    /// The peer gave up and said why, for example "unknown ca".
    case peerAlert(String)
    /// The peer's certificate is not trusted (client side).
    case untrusted(String)
    /// The peer's certificate does not satisfy a `PeerVerification`, or is missing.
    case peerRefused(VerificationError)
    case handshakeFailed(String)
    /// A record is damaged or comes out of turn.
    case brokenStream(String)

    // The weather.
    /// The system call's error number, for example ECONNRESET.
    case connectionLost(errno: Int32)
    /// OpenSSL failed for a reason of its own, mostly want of memory.
    case library(String)
}

extension TLSError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .noCertificate, .unreadableCertificate, .noKey, .encryptedKey, .unreadableKey,
            .keyMismatch, .sameKeyTypeTwice, .refusedCertificate, .tooLarge:
            certificateSentence
        case .unknownCipherSuite(let name, let nearest?):
            "unknown cipher suite '\(name)'; did you mean '\(nearest)'?"
        case .unknownCipherSuite(let name, nil):
            "unknown cipher suite '\(name)'; write OpenSSL's name, "
                + "for example ECDHE-ECDSA-AES128-GCM-SHA256"
        case .versionsReversed(let lowest, let highest):
            "the lowest version \(lowest) is above the highest, \(highest); exchange them"
        case .unusableTrust(let reason):
            "the trusted certificates cannot be used (\(reason)); "
                + "give a PEM file of CA certificates"
        case .unusableRevocations(let reason):
            "the certificate revocation lists cannot be used (\(reason)); give a PEM file with BEGIN X509 CRL"
        case .unusablePin(let pin, let form): "the pinned digest '\(pin)' is not \(form)"
        default:
            connectionSentence
        }
    }

    private var certificateSentence: String {
        switch self {
        case .noCertificate(let found):
            Self.missing("certificate", "BEGIN CERTIFICATE", found)
        case .unreadableCertificate(let position, let reason):
            "certificate \(position) of the chain cannot be read (\(reason)); is the file whole?"
        case .noKey(let found):
            Self.missing("private key", "BEGIN PRIVATE KEY", found)
        case .encryptedKey:
            "the private key is encrypted; decrypt it with: openssl pkey -in KEY -out PLAIN-KEY"
        case .unreadableKey(let reason):
            "the private key cannot be read (\(reason)); is the file whole?"
        case .keyMismatch(let subject, nil):
            "the private key does not belong to the certificate \(subject); "
                + "give the key that the certificate was requested with"
        case .keyMismatch(let subject, let position?):
            "the private key belongs to certificate \(position) of the chain, the first is "
                + "\(subject); put the server's own certificate first"
        case .sameKeyTypeTwice(let keyType):
            "two certificates have \(keyType) keys; one chain may have one certificate per key type"
        case .refusedCertificate(let subject, let reason):
            "OpenSSL refuses to serve the certificate \(subject) (\(reason)); issue a new one "
                + "with an RSA key of at least 2048 bits or a P-256 key, signed with SHA-256"
        case .tooLarge(let what, let limit):
            "\(what) is above the limit of \(limit)"
        default: ""
        }
    }

    private var connectionSentence: String {
        switch self {
        case .unknownServerName(let name?):
            "no certificate is configured for the server name \(name)"
        case .unknownServerName(nil):
            "the client named no server, and no server with the host '*' is configured"
        case .plainHTTP: "the client speaks clear-text HTTP to a TLS port; it should call https://"
        case .peerAlert(let reason): "the peer ended the connection: \(reason)"
        case .untrusted(let reason): "the peer's certificate is not trusted: \(reason)"
        case .peerRefused(let failure): failure.description
        case .handshakeFailed(let reason): "the handshake failed: \(reason)"
        case .brokenStream(let reason): "the TLS stream is broken: \(reason)"
        case .connectionLost(let number): "the connection is lost: \(Failures.systemReason(number))"
        case .library(let reason): "OpenSSL failed: \(reason)"
        default: ""
        }
    }

    private static func missing(_ what: String, _ label: String, _ found: String?) -> String {
        guard let found else {
            return "no \(what): the text has no PEM block; it should start with -----\(label)-----"
        }
        return "no \(what): the text holds a \(found) instead; are certificate and key exchanged?"
    }
}

/// A version of the protocol, in its order of age.
package enum TLSVersion: String, Sendable, Comparable, CaseIterable, CustomStringConvertible {
    case tls10 = "TLS 1.0"
    case tls11 = "TLS 1.1"
    case tls12 = "TLS 1.2"
    case tls13 = "TLS 1.3"

    package var description: String { rawValue }
    package static func < (left: TLSVersion, right: TLSVersion) -> Bool {
        left.rawValue < right.rawValue
    }
}

extension TLSError {
    /// What a handshake that failed for it is counted as; nil: the session knows better.
    package var handshakeReason: HandshakeReason? {
        switch self {
        case .connectionLost: .closed
        case .plainHTTP: .plainHTTP
        default: nil
        }
    }

    /// OpenSSL's or the system's own words, for a log that says the rest.
    package var words: String {
        switch self {
        case .peerAlert(let reason), .untrusted(let reason), .handshakeFailed(let reason),
            .brokenStream(let reason), .library(let reason):
            reason
        case .peerRefused(let failure): failure.words
        case .connectionLost(let number): Failures.systemReason(number)
        default: ""
        }
    }
}
