/// What clients of a server have to show, with the modes MUTUAL, OPTIONAL_MUTUAL and ISTIO_MUTUAL.
/// Source: docs/istio.md, Client certificates.
package struct ClientDemand: Sendable, Hashable {
    /// Where the authorities come from that may have issued the certificate of a client.
    package enum Authorities: Sendable, Hashable {
        /// `cacert` or `ca.crt` of a Secret, with the revocation list `crl` or `ca.crl` beside it.
        case secret(namespace: String, name: String)
        case file(String)
        /// The file of Istio's agent.
        case mesh
        /// Of a name that this Gateway may not use, or of an object with an error. The plan's diagnostics say why.
        case refused(String)
    }

    /// Whether a client may show none.
    package var isOptional: Bool
    /// Who may have issued a certificate.
    package var authorities: Authorities
    /// The file of `caCrl`; nil is none.
    package var revocations: String?
    /// `subjectAltNames`; empty is any.
    package var names: [String] = []
    /// `verifyCertificateSpki`; with `certificatePins`, either list is enough.
    package var keyPins: [String] = []
    /// `verifyCertificateHash`.
    package var certificatePins: [String] = []
    /// `insecureSkipVerify`: any certificate is accepted, but one must be shown unless it is optional.
    package var isSkipped = false
}

extension ClientDemand: CustomStringConvertible {
    /// For `portico routes`, for example `clients need a certificate of Secret edge/shop`.
    package var description: String {
        var text = isOptional ? "clients may show a certificate" : "clients need a certificate"
        guard !isSkipped else { return text + ", which is not verified" }
        text += " of \(authorities)"
        if let revocations { text += " less those of file \(revocations)" }
        if !names.isEmpty { text += ", names \(names.joined(separator: " or "))" }
        let pins = keyPins.count + certificatePins.count
        if pins > 0 { text += ", \(pins) pinned" }
        return text
    }
}

extension ClientDemand.Authorities: CustomStringConvertible {
    package var description: String {
        switch self {
        case .secret(let namespace, let name): "Secret \(namespace)/\(name)"
        case .file(let path): "file \(path)"
        case .mesh: "the mesh"
        case .refused(let name): "nobody: \(name) is refused"
        }
    }
}
