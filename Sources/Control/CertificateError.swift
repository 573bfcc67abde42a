internal import Manifests
internal import Octets
internal import Routing
internal import TLS

/// Why a server has no certificate, and where that can be mended.
struct CertificateError: Error {
    /// The code of the diagnostic, which documents and tools go by.
    var code = "invalid-credential"
    let sentence: String
    let place: SourcePlace
    let object: ObjectReference
    var path: String?
    var hint: String?
    /// The plan's diagnostics say so already.
    var isReported = false

    /// A problem that the diagnostics of the plan report already.
    static func reported(_ sentence: String, _ chain: TLSChain) -> CertificateError {
        CertificateError(sentence: sentence, place: chain.place, object: chain.gateway, isReported: true)
    }

    /// Istio's agent has written nothing.
    static func noMesh(_ chain: TLSChain, _ folder: String?) -> CertificateError {
        CertificateError(
            sentence: "there is no certificate of Istio's agent in \(MeshIdentity.folderNames(folder))",
            place: chain.place, object: chain.gateway,
            hint: "have the agent write it, and name the folder by --istio-identity")
    }

    /// None of the server's `cipherSuites` can be used with its certificate and versions.
    static func noSuite(_ chain: TLSChain) -> CertificateError {
        CertificateError(
            code: "no-cipher-suite", sentence: "none of the cipher suites that this server chooses can be used",
            place: chain.cipherSuites.first?.place ?? chain.place, object: chain.gateway,
            hint: "remove `cipherSuites`, or choose ECDHE-ECDSA-AES128-GCM-SHA256 and ECDHE-RSA-AES128-GCM-SHA256")
    }

    /// None of the server's `ecdhCurves` can be used.
    static func noGroup(_ chain: TLSChain) -> CertificateError {
        CertificateError(
            code: "no-group", sentence: "none of the key exchanges that this server chooses can be used",
            place: chain.place, object: chain.gateway, hint: "remove `ecdhCurves`, or choose X25519 and P-256")
    }

    /// A Secret's certificate and key, in Istio's order: `cert` and `key`, then `tls.crt` and `tls.key`; both of one
    /// style. Empty is absent.
    static func pair(_ secret: Secret) -> Result<Credential, CertificateError> {
        for (certificate, key) in Self.styles {
            if let chain = secret.data[certificate]?.value, let secretKey = secret.data[key]?.value,
                !chain.isEmpty, !secretKey.isEmpty
            {
                let staple = secret.data[Self.staple]?.value
                return .success(Credential(chain: chain, key: secretKey, staple: staple))
            }
        }
        return .failure(lacking(secret))
    }

    /// Where a Secret has an OCSP response, in DER, as with Istio.
    private static let staple = "tls.ocsp-staple"
    private static let styles = [("cert", "key"), ("tls.crt", "tls.key")]

    /// What stands in the way, the nearest thing first: a value that cannot be read, an empty one, none at all.
    private static func lacking(_ secret: Secret) -> CertificateError {
        let wanted = styles.flatMap { [$0.0, $0.1] }
        if let damaged = wanted.first(where: secret.damaged.contains) {
            return CertificateError(
                sentence: "`\(damaged)` of \(secret.meta.identity) cannot be read", place: secret.meta.place,
                object: secret.meta.identity, hint: "its error is reported at the value")
        }
        if let empty = wanted.first(where: { secret.data[$0]?.value.isEmpty == true }), let value = secret.data[empty] {
            return CertificateError(
                sentence: "`\(empty)` of \(secret.meta.identity) is empty", place: value.place,
                object: secret.meta.identity, path: value.path, hint: "put the PEM text in, in Base64")
        }
        let found = secret.data.keys.sorted().joined(separator: ", ")
        return CertificateError(
            sentence: "\(secret.meta.identity) has neither tls.crt and tls.key nor cert and key"
                + (found.isEmpty ? "; it is empty" : "; it has \(found)"),
            place: secret.meta.place, object: secret.meta.identity,
            hint: "kubectl create secret tls makes such a Secret")
    }

    /// A Secret's last good version is of use to those servers alone that served with it: only what OpenSSL holds is
    /// kept of it.
    static func forgotten(_ chain: TLSChain, _ number: Int, _ secrets: [String: Secret]) -> CertificateError {
        let secret = secret(number, chain, secrets)
        return CertificateError(
            sentence: "the last good version of \(secret.map { "\($0.meta.identity)" } ?? "the Secret") is not kept "
                + "for servers that it was not used for", place: secret?.meta.place ?? chain.place,
            object: secret?.meta.identity ?? chain.gateway, hint: "mend the Secret")
    }

    /// The same for what OpenSSL says, at the value that it says it of.
    /// - Parameter culprit: the number of the certificate that cannot be used by itself either.
    static func of(
        _ error: TLSError, _ culprit: Int?, _ chain: TLSChain, _ secrets: [String: Secret]
    ) -> CertificateError {
        let failure = CertificateError(sentence: error.description, place: chain.place, object: chain.gateway)
        guard let half = half(error), let culprit, let secret = secret(culprit, chain, secrets) else { return failure }
        let names = styles.first { secret.data[$0.0] != nil && secret.data[$0.1] != nil } ?? styles[1]
        let name = half == .certificate ? names.0 : names.1
        guard let value = secret.data[name] else { return failure }
        return CertificateError(
            sentence: "`\(name)` of \(secret.meta.identity) cannot be used (\(error))", place: value.place,
            object: secret.meta.identity, path: value.path,
            hint: value.value.withOctets { $0.hasPrefix(pemInBase64) } == true
                ? "the text is still in Base64: encode it once in `data`, and not at all in `stringData`" : nil)
    }

    /// `-----BEGIN`, encoded.
    private static let pemInBase64: Octets = "LS0tLS1CRUdJT"

    private enum Half { case certificate, key }

    private static func half(_ error: TLSError) -> Half? {
        switch error {
        case .noCertificate, .unreadableCertificate, .refusedCertificate: .certificate
        case .noKey, .encryptedKey, .unreadableKey, .keyMismatch: .key
        default: nil
        }
    }

    private static func secret(_ number: Int, _ chain: TLSChain, _ secrets: [String: Secret]) -> Secret? {
        guard case .secret(let namespace, let name) = chain.certificates[number] else { return nil }
        return secrets["\(namespace)/\(name)"]
    }
}
