internal import Manifests

/// The parts of a `credentialName`. Source: docs/istio.md, Credentials.
struct CredentialName {
    enum Scheme: String, CaseIterable {
        case secret = ""
        case kubernetes = "kubernetes://"
        /// An external server of secrets; without one, the Secret of this name.
        case external = "sds://"
        case gatewayAPI = "kubernetes-gateway://"
        case configMap = "configmap://"
        case builtin = "builtin://"
        case invalid = "invalid://"
    }
    let scheme: Scheme
    /// nil if it is not written.
    let namespace: String?
    let name: String

    init(_ text: String) {
        let scheme = Scheme.allCases.first { $0 != .secret && text.hasPrefix($0.rawValue) } ?? .secret
        let rest = text.dropFirst(scheme.rawValue.count)
        let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        self.scheme = scheme
        namespace = parts.count == 2 ? String(parts[0]) : nil
        name = parts.last.map(String.init) ?? ""
    }
}

/// Finds the Secrets that Gateways name. A Gateway may use only those of the namespace that the gateway works in, so
/// that whoever may write Gateways cannot serve with the key of another namespace.
struct Credentials {
    private let names: Names
    private let problems: Problems
    private let secrets: Set<String>    // as `namespace/name`
    private let leftOut: LeftOutObjects
    /// A namespace that has a Secret of this name, for hints; of several, the first by name.
    private let namespaces: [String: String]

    init(_ inventory: Inventory, names: Names, problems: Problems, leftOut: LeftOutObjects) {
        self.names = names
        self.problems = problems
        self.leftOut = leftOut
        secrets = Set(inventory.secrets.map { "\($0.meta.namespace)/\($0.meta.name)" })
        namespaces = Dictionary(
            inventory.secrets.map { ($0.meta.name, $0.meta.namespace) }, uniquingKeysWith: min)
    }

    /// What a Secret is wanted for.
    enum Purpose {
        case certificate, authorities

        var keys: String { self == .certificate ? "tls.crt and tls.key" : "ca.crt" }
    }

    /// The certificate, or the authorities, that a Gateway's `credentialName` or `caCertCredentialName` stands for.
    func source(
        _ written: Located<String>, for purpose: Purpose = .certificate, gateway: ObjectReference
    ) -> CertificateSource {
        let credential = CredentialName(written.value)
        let own = names.options.gatewayNamespace
        switch credential.scheme {
        case .configMap:
            return refuse(
                written, gateway,
                purpose == .certificate ? "a ConfigMap holds no key" : "ConfigMaps are not read",
                hint: "name a Secret with \(purpose.keys)")
        case .builtin, .invalid:
            return refuse(
                written, gateway, "there is no mesh identity here", hint: "name a Secret with \(purpose.keys)")
        case .gatewayAPI:
            guard let namespace = credential.namespace, !namespace.isEmpty, !credential.name.isEmpty else {
                return refuse(
                    written, gateway, "this form has a namespace and a name",
                    hint: "write kubernetes-gateway://\(own)/NAME, or the name alone")
            }
            return secret(credential, namespace, allowed: [own, gateway.namespace], purpose, written, gateway)
        case .secret, .kubernetes, .external:
            return secret(credential, credential.namespace ?? own, allowed: [own], purpose, written, gateway)
        }
    }

    /// The namespace and name of the Secret that a name stands for, without a report; nil if it stands for none.
    func place(of written: Located<String>, gateway: ObjectReference) -> (namespace: String, name: String)? {
        let credential = CredentialName(written.value)
        let own = names.options.gatewayNamespace
        let namespace = credential.namespace ?? own
        switch credential.scheme {
        case .configMap, .builtin, .invalid: return nil
        case .gatewayAPI: return [own, gateway.namespace].contains(namespace) ? (namespace, credential.name) : nil
        case .secret, .kubernetes, .external: return namespace == own ? (namespace, credential.name) : nil
        }
    }

    /// Whether there is a Secret, and if not, the one of this name that has an error.
    func find(_ name: String, in namespace: String) -> (exists: Bool, leftOut: LeftOut?) {
        (secrets.contains("\(namespace)/\(name)"), leftOut.object("Secret", namespace, name))
    }

    private func secret(
        _ credential: CredentialName, _ namespace: String, allowed: [String], _ purpose: Purpose,
        _ written: Located<String>, _ gateway: ObjectReference
    ) -> CertificateSource {
        guard allowed.contains(namespace) else {
            let own = names.options.gatewayNamespace
            return refuse(
                written, gateway, "Secrets come from namespace \(own), this gateway's, alone",
                hint: "move the Secret there and write its name alone, or run with --namespace \(namespace)")
        }
        let name = credential.name
        if let object = leftOut.object("Secret", namespace, name) {
            report("unknown-secret", object.hint, hint: nil, written, gateway, related: object.related)
        } else if !secrets.contains("\(namespace)/\(name)") {
            let other = namespaces[name].map {
                "there is one in namespace \($0): move it, or run with --namespace \($0)"
            }
            report(
                "unknown-secret", "no Secret '\(name)' in namespace \(namespace), this gateway's",
                hint: other ?? "load a Secret with \(purpose.keys)", written, gateway)
        }
        return .secret(namespace: namespace, name: name)
    }

    private func refuse(
        _ written: Located<String>, _ gateway: ObjectReference, _ reason: String, hint: String
    ) -> CertificateSource {
        report("refused-credential", "`\(written.value)` is not used: \(reason)", hint: hint, written, gateway)
        return .refused(written.value)
    }

    /// Reports what is wrong with a credential's name.
    func report(
        _ code: String, _ message: String, hint: String?, _ written: Located<String>, _ gateway: ObjectReference,
        related: [Diagnostic.Related] = []
    ) {
        problems.add(
            Diagnostic(
                .error, code, "\(message): handshakes for its hosts fail", hint: hint, at: written.place,
                object: gateway, path: written.path, related: related))
    }
}
