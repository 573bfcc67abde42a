internal import COpenSSL

/// Why the certificate of a peer is refused: which check failed, and what was found.
package struct VerificationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is checked, in this order.
    package enum Check: String, Sendable, CaseIterable {
        /// A certificate is shown.
        case presence
        /// It was issued by one of the authorities, for this purpose, and with keys and digests that are strong enough.
        case authority
        /// It is valid now, and so is what issued it.
        case time
        /// The revocation list does not list it, and can be used itself.
        case revocation
        /// It has one of the alternative names that are accepted.
        case name
        /// Its key or its digest is one of those that are pinned.
        case pin
    }

    package let check: Check
    /// What was found, for example "certificate has expired (CN=a)". Names out of the certificate are printable text.
    package let words: String

    /// A sentence without a full stop.
    package var description: String {
        switch check {
        case .presence: "the peer showed no certificate"
        case .authority: "the peer's certificate is not trusted: \(words)"
        case .time: "the peer's certificate is not valid now: \(words)"
        case .revocation: "the peer's certificate is revoked, or cannot be checked: \(words)"
        case .name: "the peer's certificate has none of the names that are accepted: \(words)"
        case .pin: "the peer's certificate is not one of those that are pinned: \(words)"
        }
    }

    static let missing = VerificationError(check: .presence, words: "no certificate")

    init(check: Check, words: String) {
        self.check = check
        self.words = words
    }

    /// What OpenSSL found when it verified the chain.
    /// - Parameter certificate: the one of the chain that was to blame, when it is known.
    init(verdict: CInt, certificate: OwnedCertificate?) {
        let words = unsafe String(cString: X509_verify_cert_error_string(Int(verdict)))
        self.words = certificate.map { "\(words) (\($0.subject))" } ?? words
        check =
            switch verdict {
            case X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID,
                X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD, X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD:
                .time
            case X509_V_ERR_CERT_REVOKED, X509_V_ERR_UNABLE_TO_GET_CRL, X509_V_ERR_CRL_HAS_EXPIRED,
                X509_V_ERR_CRL_NOT_YET_VALID, X509_V_ERR_CRL_SIGNATURE_FAILURE, X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER,
                X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE, X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD,
                X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD, X509_V_ERR_KEYUSAGE_NO_CRL_SIGN,
                X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION, X509_V_ERR_DIFFERENT_CRL_SCOPE,
                X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
                .revocation
            case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH, X509_V_ERR_EMAIL_MISMATCH: .name
            default: .authority
            }
    }
}
