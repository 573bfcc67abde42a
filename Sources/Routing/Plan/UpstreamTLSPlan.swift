package import Manifests

/// TLS to the endpoints of a cluster, as a DestinationRule asks for it.
/// Source: docs/istio.md, TLS to upstreams.
package struct UpstreamTLSPlan: Sendable, Hashable {
    /// What is sent as the server name (SNI) of RFC 6066 §3.
    package enum ServerName: Sendable, Hashable {
        case fixed(String)
        /// The host of each request, without its port; nothing if that is an IP address.
        case ofRequest
    }

    /// Who may have issued the endpoint's certificate.
    package enum Trust: Sendable, Hashable {
        /// Nobody: the certificate is not verified (Istio: `insecureSkipVerify`).
        case unverified
        case system
        /// A file of authorities in PEM.
        case file(String)
        /// The authorities of a Secret: the first of these that exists. Revocation lists beside them count.
        case secret(namespace: String, names: [String])
        /// The authorities of the mesh, from the folder of Istio's agent.
        case mesh
    }

    /// The certificate that the gateway shows.
    package enum Identity: Sendable, Hashable {
        case none
        case files(certificate: String, key: String)
        case secret(namespace: String, name: String)
        /// That of the mesh, from the folder of Istio's agent.
        case mesh
    }

    /// What is agreed with an endpoint. Clusters with equal terms share their connections' settings.
    package struct Terms: Sendable, Hashable {
        package let mode: UpstreamTLS.Mode
        package let serverName: ServerName
        /// Whether the certificate must have the host of the request among its names.
        package let needsHost: Bool
        /// The names of which the certificate must have one as well; empty: any.
        package let names: [String]
        /// The namespace whose service accounts may answer, where no name is written in the mode ISTIO_MUTUAL.
        package let meshNamespace: String?
        /// The authorities of its certificate.
        package let trust: Trust
        /// A file of revocation lists in PEM.
        package let revocations: String?
        /// Our own certificate.
        package let identity: Identity
    }

    package let terms: Terms
    /// Why it cannot be used: its credential is refused. The plan's diagnostics say so.
    package let refusal: String?
    package let rule: ObjectReference
    /// Where its `tls` is written.
    package let place: SourcePlace
    /// The path of its `tls`.
    package let path: String
}

extension UpstreamTLSPlan.Terms {
    /// The files that it is made of, but for those of Istio's agent.
    package var files: [String] {
        var files: [String] = []
        if case .file(let path) = trust { files.append(path) }
        if let revocations { files.append(revocations) }
        if case .files(let certificate, let key) = identity { files += [certificate, key] }
        return files
    }

    /// Whether any certificate of the authorities is accepted, whatever its names.
    var acceptsAnyName: Bool { !needsHost && names.isEmpty && mode != .istioMutual }

    /// Whether it is made of files of Istio's agent.
    package var isOfMesh: Bool { mode == .istioMutual }

    /// One line for `portico routes`.
    package var summary: String {
        var text = "TLS \(mode.rawValue)"
        if case .fixed(let name) = serverName { text += ", server name \(name)" }
        switch trust {
        case .unverified: text += ", certificate not verified"
        case .system: text += ", authorities of the system"
        case .file(let path): text += ", authorities of file \(path)"
        case .secret(let namespace, let names): text += ", authorities of Secret \(namespace)/\(names[0])"
        case .mesh: text += ", authorities of the mesh"
        }
        if let meshNamespace { text += ", service accounts of namespace \(meshNamespace)" }
        if !names.isEmpty { text += ", names \(names.prefix(8).joined(separator: " or "))" }
        if names.count > 8 { text += " or \(names.count - 8) more" }
        return text
    }
}
