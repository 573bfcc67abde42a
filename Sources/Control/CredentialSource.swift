internal import Manifests
internal import Octets
internal import Reactor
internal import Routing
internal import TLS

/// Why TLS to a cluster has no certificate or authority, and where that can be mended.
struct CredentialError: Error {
    let sentence: String
    /// nil: at the DestinationRule.
    var place: SourcePlace?
    var object: ObjectReference?
    var path: String?
    var hint: String?
    /// The plan's diagnostics say so already.
    var isReported = false

    init(
        _ sentence: String, place: SourcePlace? = nil, object: ObjectReference? = nil, path: String? = nil,
        hint: String? = nil, isReported: Bool = false
    ) {
        self.sentence = sentence
        self.place = place
        self.object = object
        self.path = path
        self.hint = hint
        self.isReported = isReported
    }
}

/// The texts that TLS to clusters is made of: files that one round reads once, and Secrets.
/// Source: docs/istio.md, Credentials.
struct CredentialSource {
    /// How a DestinationRule wants TLS to endpoints.
    typealias Terms = UpstreamTLSPlan.Terms

    private let secrets: [String: Secret]
    private let files: CredentialFiles
    private let mesh: MeshIdentity?
    private let meshFolder: String?
    /// The files as they were just before they were read; nil: there was none.
    private(set) var stamps: [String: FileStamp?]

    init(of terms: [Terms], secrets: [Secret], meshFolder: String?) {
        self.secrets = CertificateDirectory.byName(secrets)
        self.meshFolder = meshFolder
        var paths = terms.flatMap(\.files)
        let wantsMesh = terms.contains(where: \.isOfMesh)
        mesh = wantsMesh ? MeshIdentity.find(folder: meshFolder) : nil
        if let mesh { paths += mesh.paths }
        files = CredentialFiles(of: paths)
        stamps = files.stamps
        guard wantsMesh, mesh == nil else { return }
        stamps.merge(MeshIdentity.absentStamps(folder: meshFolder)) { known, _ in known }
    }

    // MARK: texts

    /// Of a list of authorities and, perhaps, of revocation lists.
    struct TrustTexts {
        let authorities: SecretOctets?    // nil: the system's
        let revocations: SecretOctets?

        /// nil if they are forgotten.
        var requirement: PeerRequirement? {
            var requirement = PeerRequirement(authorities: .system)
            if let authorities {
                guard let text = authorities.withOctets(\.array) else { return nil }
                requirement.authorities = .pem(text)
            }
            if let revocations {
                guard let text = revocations.withOctets(\.array) else { return nil }
                requirement.revocations = text
            }
            return requirement
        }
    }

    /// The certificate to be shown; nil: none.
    func identity(of terms: Terms) throws(CredentialError) -> Credential? {
        switch terms.identity {
        case .none: return nil
        case .files(let certificate, let key):
            return Credential(chain: try file(certificate), key: try file(key))
        case .mesh:
            let mesh = try foundMesh()
            return Credential(chain: try file(mesh.certificate), key: try file(mesh.key))
        case .secret(let namespace, let name):
            switch CertificateError.pair(try secret(namespace, name)) {
            case .success(let credential): return credential
            case .failure(let failure):
                throw CredentialError(
                    failure.sentence, place: failure.place, object: failure.object, path: failure.path,
                    hint: failure.hint)
            }
        }
    }

    /// The authorities and their revocation lists; nil: those of the system, without lists, or nobody's.
    func authorities(of terms: Terms) throws(CredentialError) -> TrustTexts? {
        let revocations = try terms.revocations.map { (path) throws(CredentialError) in try file(path) }
        switch terms.trust {
        case .unverified: return nil
        case .system: return revocations == nil ? nil : TrustTexts(authorities: nil, revocations: revocations)
        case .file(let path): return TrustTexts(authorities: try file(path), revocations: revocations)
        case .mesh: return TrustTexts(authorities: try file(try foundMesh().authorities), revocations: nil)
        case .secret(let namespace, let names):
            return try authorities(in: try secret(namespace, names[0]))
        }
    }

    private static let authorityKeys = [("cacert", "crl"), ("ca.crt", "ca.crl")]

    private func authorities(in secret: Secret) throws(CredentialError) -> TrustTexts {
        for (key, list) in Self.authorityKeys {
            guard let text = secret.data[key]?.value, !text.isEmpty else { continue }
            let revocations = secret.data[list].flatMap { $0.value.isEmpty ? nil : $0.value }
            return TrustTexts(authorities: text, revocations: revocations)
        }
        let found = secret.data.keys.sorted().joined(separator: ", ")
        throw CredentialError(
            "\(secret.meta.identity) has neither cacert nor ca.crt" + (found.isEmpty ? "" : "; it has \(found)"),
            place: secret.meta.place, object: secret.meta.identity,
            hint: "put the authority's certificate in as ca.crt")
    }

    private func secret(_ namespace: String, _ name: String) throws(CredentialError) -> Secret {
        guard let secret = secrets["\(namespace)/\(name)"] else {
            throw CredentialError("there is no Secret \(namespace)/\(name)", isReported: true)
        }
        return secret
    }

    private func file(_ path: String) throws(CredentialError) -> SecretOctets {
        guard let result = files[path] else { throw CredentialError("\(path) was not read") }
        switch result {
        case .success(let contents): return contents
        case .failure(let failure): throw CredentialError(failure.description)
        }
    }

    private func foundMesh() throws(CredentialError) -> MeshIdentity {
        guard let mesh else {
            throw CredentialError(
                "there is no certificate of Istio's agent in \(MeshIdentity.folderNames(meshFolder))",
                hint: "have the agent write it, and name the folder by --istio-identity")
        }
        return mesh
    }

    // MARK: problems

    /// A Secret's last good version is of use to those terms alone that were made with it.
    func forgotten(_ identity: UpstreamTLSPlan.Identity) -> CredentialError {
        guard case .secret(let namespace, let name) = identity else { return Self.notKept("the credential") }
        return Self.notKept("Secret \(namespace)/\(name)")
    }

    /// The octets of the authorities were overwritten after an earlier load.
    func forgotten(_ trust: UpstreamTLSPlan.Trust) -> CredentialError {
        guard case .secret(let namespace, let names) = trust else { return Self.notKept("the authorities") }
        return Self.notKept("Secret \(namespace)/\(names[0])")
    }

    private static func notKept(_ what: String) -> CredentialError {
        CredentialError("the last good version of \(what) is not kept for others than used it", hint: "mend the Secret")
    }

    /// What OpenSSL says of a certificate and its key, with where they come from.
    func unusable(_ error: TLSError, _ identity: UpstreamTLSPlan.Identity) -> CredentialError {
        let what: String
        switch identity {
        case .none: what = "the client certificate"
        case .files(let certificate, let key): what = "the client certificate \(certificate) with the key \(key)"
        case .mesh: what = "the certificate of Istio's agent, \(mesh?.certificate ?? "")"
        case .secret(let namespace, let name):
            let secret = secrets["\(namespace)/\(name)"]
            return CredentialError(
                "the client certificate of Secret \(namespace)/\(name) cannot be used (\(error))",
                place: secret?.meta.place, object: secret?.meta.identity)
        }
        return CredentialError("\(what) cannot be used (\(error))")
    }

    /// The same of authorities and revocation lists.
    func unusable(_ error: TLSError, _ terms: Terms) -> CredentialError {
        switch terms.trust {
        case .secret(let namespace, let names):
            let secret = secrets["\(namespace)/\(names[0])"]
            return CredentialError(
                "the authorities of Secret \(namespace)/\(names[0]) cannot be used (\(error))",
                place: secret?.meta.place, object: secret?.meta.identity)
        case .file(let path): return CredentialError("\(Self.file(path, terms, error)) cannot be used (\(error))")
        case .mesh: return CredentialError("\(mesh?.authorities ?? "") cannot be used (\(error))")
        case .system, .unverified: return CredentialError("the system's authorities cannot be used (\(error))")
        }
    }

    private static func file(_ path: String, _ terms: Terms, _ error: TLSError) -> String {
        if case .unusableRevocations = error, let lists = terms.revocations { return lists }
        return path
    }
}
