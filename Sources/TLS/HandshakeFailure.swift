internal import COpenSSL

/// Why a handshake with a server came to nothing: a bounded list, for answers and the access log. The words of OpenSSL,
/// or of the server, stand in `TLSError`.
package enum HandshakeFailure: Int, Sendable, CaseIterable {
    /// Its certificate was not issued by an authority that is trusted.
    case unknownAuthority
    /// Its certificate, or one of its authorities', is not valid yet or any more.
    case notValidNow
    case revoked
    /// Its certificate has none of the names that are accepted.
    case wrongName
    /// It has none of the protocols that ALPN offers, or chose one that the request cannot use.
    case noCommonProtocol
    /// It wants a certificate of ours.
    case certificateRequired
    /// It does not accept our certificate.
    case certificateRefused
    case protocolVersion
    /// No cipher suite, key exchange group or signature algorithm that both sides have.
    case noSharedCipher
    /// It does not answer in TLS.
    case notTLS
    /// It does not serve the server name.
    case unknownServerName
    /// It gave up for another reason, and said so.
    case alert
    case closed
    case other

    /// Its name in `response_code_details`.
    package var name: String {
        switch self {
        case .unknownAuthority: "unknown_authority"
        case .notValidNow: "certificate_not_valid_now"
        case .revoked: "certificate_revoked"
        case .wrongName: "wrong_name"
        case .noCommonProtocol: "no_common_protocol"
        case .certificateRequired: "certificate_required"
        case .certificateRefused: "certificate_refused"
        case .protocolVersion: "protocol_version"
        case .noSharedCipher: "no_shared_cipher"
        case .notTLS: "not_tls"
        case .unknownServerName: "unknown_server_name"
        case .alert: "alert"
        case .closed: "closed"
        case .other: "tls_handshake_failed"
        }
    }

    /// One sentence that explains it, without a full stop.
    package var sentence: String {
        switch self {
        case .unknownAuthority: "the endpoint's certificate was not issued by an authority that is trusted"
        case .notValidNow: "the endpoint's certificate is not valid now"
        case .revoked: "the endpoint's certificate is revoked, or cannot be checked"
        case .wrongName: "the endpoint's certificate has none of the names that are accepted"
        case .noCommonProtocol: "the endpoint speaks none of the protocols that were offered"
        case .certificateRequired: "the endpoint wants a client certificate"
        case .certificateRefused: "the endpoint does not accept the client certificate"
        case .protocolVersion: "the endpoint does not speak a version of TLS that is allowed"
        case .noSharedCipher: "the endpoint has no cipher suite, group or signature algorithm in common"
        case .notTLS: "the endpoint does not speak TLS"
        case .unknownServerName: "the endpoint does not serve the server name"
        case .alert: "the endpoint ended the TLS handshake"
        case .closed: "the endpoint closed the connection during the TLS handshake"
        case .other: "the TLS handshake failed"
        }
    }

    /// What to do about it, to follow the sentence: the fields are those of a DestinationRule's `tls`. Empty where the
    /// endpoint's own log has to say.
    package var advice: String {
        switch self {
        case .unknownAuthority: "give caCertificates (or credentialName) the authority that has issued it"
        case .notValidNow: "renew the endpoint's certificate, or set the clock"
        case .revoked: "replace the endpoint's certificate, or renew the revocation list (caCrl)"
        case .wrongName: "give subjectAltNames a name that the certificate has, or correct the certificate"
        case .noCommonProtocol: "have the endpoint offer h2 or http/1.1 by ALPN, as the port's appProtocol says"
        case .certificateRequired: "give the DestinationRule mode MUTUAL with a client certificate"
        case .certificateRefused: "have the endpoint trust the authority of the client certificate, or give another one"
        case .protocolVersion: "have the endpoint allow TLS 1.2 or 1.3"
        case .noSharedCipher: "have the endpoint allow a cipher suite and a group of TLS 1.3, or ECDHE ones of TLS 1.2"
        case .notTLS: "let the DestinationRule's tls.mode be DISABLE, or choose a port that speaks TLS"
        case .unknownServerName: "give sni a name that the endpoint serves"
        case .alert, .closed, .other: "look for the reason in the endpoint's log"
        }
    }

    /// What an alert of the server means. Source: RFC 8446 §6.2.
    init(alert: CInt) {
        switch alert {
        case CInt(SSL_AD_NO_APPLICATION_PROTOCOL): self = .noCommonProtocol
        case CInt(TLS13_AD_CERTIFICATE_REQUIRED): self = .certificateRequired
        case CInt(SSL_AD_BAD_CERTIFICATE)...CInt(SSL_AD_CERTIFICATE_UNKNOWN), CInt(SSL_AD_UNKNOWN_CA),
            CInt(SSL_AD_ACCESS_DENIED):
            self = .certificateRefused
        case CInt(SSL_AD_UNRECOGNIZED_NAME): self = .unknownServerName
        case CInt(SSL_AD_PROTOCOL_VERSION): self = .protocolVersion
        case CInt(SSL_AD_INSUFFICIENT_SECURITY): self = .noSharedCipher
        default: self = .alert
        }
    }

    /// What OpenSSL's reason means; `code` is the oldest entry of its queue.
    init(code: UInt) {
        let reason = Failures.reason(code)
        switch reason {
        case SSL_AD_REASON_OFFSET...(SSL_AD_REASON_OFFSET + 255):
            self = HandshakeFailure(alert: reason - SSL_AD_REASON_OFFSET)
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_UNKNOWN_PROTOCOL, SSL_R_PACKET_LENGTH_TOO_LONG,
            SSL_R_HTTP_REQUEST:
            self = .notTLS
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_VERSION_TOO_HIGH, SSL_R_UNSUPPORTED_SSL_VERSION:
            self = .protocolVersion
        case SSL_R_WRONG_CIPHER_RETURNED, SSL_R_UNKNOWN_CIPHER_RETURNED, SSL_R_NO_SHARED_CIPHER,
            SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_BAD_KEY_SHARE, SSL_R_WRONG_SIGNATURE_TYPE, SSL_R_WRONG_CURVE,
            SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
            self = .noSharedCipher
        case SSL_R_UNEXPECTED_EOF_WHILE_READING: self = .closed
        default: self = .other
        }
    }

    /// What the verification of its certificate means.
    init(_ check: VerificationError.Check) {
        switch check {
        case .presence, .authority, .pin: self = .unknownAuthority
        case .time: self = .notValidNow
        case .revocation: self = .revoked
        case .name: self = .wrongName
        }
    }
}
