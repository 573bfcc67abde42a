internal import COpenSSL

/// Why a client's handshake came to nothing: a bounded list, for counters and the access log. The words of
/// OpenSSL, or of the client, stand in `TLSError`.
package enum HandshakeReason: Int, Sendable, CaseIterable {
    /// The client named no server, and none is served without a name.
    case noServerName
    case unknownServerName
    case protocolVersion
    /// No cipher suite, key exchange group or signature algorithm that both sides have.
    case noSharedCipher
    /// HTTP in clear text.
    case plainHTTP
    /// Neither TLS nor HTTP.
    case notTLS
    /// The client does not trust the certificate, or says that of its own.
    case certificate
    /// The client showed no certificate where one is required.
    case noClientCertificate
    /// The client's certificate comes from no authority that is trusted, or is too weak or not for clients.
    case untrustedClient
    /// The client's certificate, or an authority's between, is not valid now.
    case expiredClient
    /// The client's certificate is revoked, or the revocation lists cannot tell.
    case revokedClient
    /// The client's certificate has none of the names that are accepted.
    case clientName
    /// The client's certificate is not one of those that are pinned.
    case clientPin
    /// The client gave up for another reason, and said so.
    case clientAlert
    /// The client's hello or its handshake was not complete in time.
    case timedOut
    /// The client was gone before the handshake was complete.
    case closed
    /// Too many handshakes at a time: this was the oldest.
    case tooMany
    case other

    /// What a check of the client's certificate is counted as.
    init(_ check: VerificationError.Check) {
        self =
            switch check {
            case .presence: .noClientCertificate
            case .authority: .untrustedClient
            case .time: .expiredClient
            case .revocation: .revokedClient
            case .name: .clientName
            case .pin: .clientPin
            }
    }

    /// What OpenSSL's reason means; `code` is the oldest entry of its queue.
    init(code: UInt) {
        let reason = Failures.reason(code)
        switch reason {
        case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST: self = .plainHTTP
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_VERSION_TOO_HIGH,
            SSL_R_UNSUPPORTED_SSL_VERSION, SSL_R_NO_PROTOCOLS_AVAILABLE, SSL_R_INAPPROPRIATE_FALLBACK:
            self = .protocolVersion
        case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_NO_SHARED_GROUPS,
            SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS,
            SSL_R_NO_SUITABLE_GROUPS, SSL_R_NO_CIPHERS_SPECIFIED:
            self = .noSharedCipher
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_UNKNOWN_PROTOCOL: self = .notTLS
        case SSL_AD_REASON_OFFSET...(SSL_AD_REASON_OFFSET + 255):
            self = Self.isAboutCertificates(alert: reason - SSL_AD_REASON_OFFSET) ? .certificate : .clientAlert
        default: self = .other
        }
    }

    /// bad, unsupported, revoked, expired, unknown certificate, unknown CA, access denied.
    /// Source: RFC 8446 §6.2.
    private static func isAboutCertificates(alert: CInt) -> Bool {
        (SSL_AD_BAD_CERTIFICATE...SSL_AD_CERTIFICATE_UNKNOWN).contains(alert)
            || alert == SSL_AD_UNKNOWN_CA || alert == SSL_AD_ACCESS_DENIED
    }
}
