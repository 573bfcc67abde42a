internal import Manifests

/// Compiles `tls` of DestinationRules. Source: docs/istio.md, TLS to upstreams.
struct UpstreamTLSCompiler {
    private let names: Names
    private let problems: Problems
    private let leftOut: LeftOutObjects
    private let secrets: Set<String>
    private let entries: [ServiceEntry]
    private let services: [Service]

    init(_ inventory: Inventory, names: Names, problems: Problems, leftOut: LeftOutObjects) {
        self.names = names
        self.problems = problems
        self.leftOut = leftOut
        secrets = Set(inventory.secrets.map { "\($0.meta.namespace)/\($0.meta.name)" })
        entries = inventory.serviceEntries
        services = inventory.services
    }

    /// What is compiled of a credential: where its parts are, or why it is not used.
    private struct Credential {
        var identity = UpstreamTLSPlan.Identity.none
        var trust = UpstreamTLSPlan.Trust.system
        var refusal: String?
    }

    /// Where `tls` is written, and whom it concerns.
    private struct Site {
        let tls: UpstreamTLS
        let rule: DestinationRule
        let host: String
    }

    /// The TLS of a cluster; nil if it is spoken to in clear text.
    func plan(
        of policy: PolicyDirectory.Policy, _ service: RoutableService, _ port: ServicePort, _ subset: Subset?
    ) -> UpstreamTLSPlan? {
        guard let (tls, rule) = policy.tls(port: port.number, subset: subset), tls.mode != .disable else { return nil }
        let site = Site(tls: tls, rule: rule, host: service.host)
        let credential = credential(of: site)
        let isMesh = tls.mode == .istioMutual
        let accepted = tls.subjectAltNames.isEmpty ? alternativeNames(of: service) : tls.subjectAltNames
        let verifies = credential.trust != .unverified
        let isAutomatic = tls.sni == nil && !isMesh
        let terms = UpstreamTLSPlan.Terms(
            mode: tls.mode,
            serverName: serverName(of: site, service, port, subset),
            needsHost: verifies && isAutomatic && tls.subjectAltNames.isEmpty,
            names: verifies ? accepted : [],
            meshNamespace: isMesh && accepted.isEmpty && selectsPods(service) ? service.namespace : nil,
            trust: credential.trust, revocations: isMesh || !verifies ? nil : tls.caCrl?.value,
            identity: credential.identity)
        let plan = UpstreamTLSPlan(
            terms: terms, refusal: credential.refusal, rule: rule.meta.identity, place: tls.place, path: tls.path)
        reportWeakness(plan, site)
        return plan
    }

    /// Whether the endpoints are pods of the service's namespace.
    private func selectsPods(_ service: RoutableService) -> Bool {
        guard case .service(let index) = service.origin else { return false }
        return services[index].selector?.isEmpty == false && services[index].type != .externalName
    }

    /// Istio's name of a cluster as a server name, by which gateways between meshes route.
    private func serverName(
        of site: Site, _ service: RoutableService, _ port: ServicePort, _ subset: Subset?
    ) -> UpstreamTLSPlan.ServerName {
        if let sni = site.tls.sni { return .fixed(sni.value) }
        guard site.tls.mode == .istioMutual else { return .ofRequest }
        return .fixed("outbound_.\(port.number)_.\(subset?.name.value ?? "")_.\(service.host)")
    }

    /// What ServiceEntries say of the names in the certificates of their endpoints.
    private func alternativeNames(of service: RoutableService) -> [String] {
        guard case .entries(let indexes) = service.origin else { return [] }
        var found: [String] = []
        for name in indexes.flatMap({ entries[$0].subjectAltNames }) where !found.contains(name) { found.append(name) }
        return found
    }

    private func credential(of site: Site) -> Credential {
        let tls = site.tls
        var credential = Credential()
        guard tls.mode != .istioMutual else { return Credential(identity: .mesh, trust: .mesh) }
        if let written = tls.credentialName {
            credential = named(written, site)
        } else {
            if let path = tls.caCertificates?.value { credential.trust = .file(path) }
            if tls.mode == .mutual, let certificate = tls.clientCertificate?.value, let key = tls.privateKey?.value {
                credential.identity = .files(certificate: certificate, key: key)
            }
        }
        if tls.insecureSkipVerify { credential.trust = .unverified }
        return credential
    }

    // MARK: credentialName

    /// Secrets come from this gateway's namespace, so that whoever may write DestinationRules cannot use the key of
    /// another namespace. Source: docs/istio.md, Credentials.
    private func named(_ written: Located<String>, _ site: Site) -> Credential {
        let credential = CredentialName(written.value)
        let own = names.options.gatewayNamespace
        switch credential.scheme {
        case .configMap: return refuse(written, site, "ConfigMaps are not read", hint: "name a Secret with ca.crt")
        case .builtin, .invalid:
            return refuse(written, site, "it names no Secret", hint: "write mode: ISTIO_MUTUAL for the mesh identity")
        case .gatewayAPI:
            return refuse(written, site, "this form is for Gateways", hint: "write the name alone")
        case .secret, .kubernetes, .external:
            guard credential.namespace ?? own == own else {
                return refuse(
                    written, site, "Secrets come from namespace \(own), this gateway's, alone",
                    hint: "move the Secret there and write its name alone, or run with --namespace "
                        + (credential.namespace ?? ""))
            }
        }
        let name = credential.name
        let authorities = "\(name)-cacert"
        let hasOwnAuthorities = exists(authorities)
        if !exists(name), site.tls.mode == .mutual || !hasOwnAuthorities {
            let object = leftOut.object("Secret", own, name)
            report(
                "unknown-secret", object?.hint ?? "no Secret '\(name)' in namespace \(own), this gateway's",
                hint: "load a Secret with \(site.tls.mode == .mutual ? "tls.crt, tls.key and " : "")ca.crt", written,
                site, related: object?.related ?? [])
        }
        return Credential(
            identity: site.tls.mode == .mutual ? .secret(namespace: own, name: name) : .none,
            trust: .secret(namespace: own, names: hasOwnAuthorities ? [authorities] : [name]))
    }

    private func exists(_ name: String) -> Bool { secrets.contains("\(names.options.gatewayNamespace)/\(name)") }

    private func refuse(_ written: Located<String>, _ site: Site, _ reason: String, hint: String) -> Credential {
        report("refused-credential", "`\(written.value)` is not used: \(reason)", hint: hint, written, site)
        let rule = site.rule.meta.identity
        return Credential(refusal: "the credential \(written.value) of \(rule) is not used: \(reason)")
    }

    private func report(
        _ code: String, _ message: String, hint: String?, _ written: Located<String>, _ site: Site,
        related: [Diagnostic.Related] = []
    ) {
        problems.add(
            Diagnostic(
                .error, code, "\(message): requests to \(site.host) are answered 503", hint: hint, at: written.place,
                object: site.rule.meta.identity, path: written.path, related: related))
    }

    // MARK: what is weak

    /// Says where any certificate is accepted, or that of any name.
    private func reportWeakness(_ plan: UpstreamTLSPlan, _ site: Site) {
        let rule = site.rule.meta.identity
        if case .unverified = plan.terms.trust {
            problems.add(
                Diagnostic(
                    .warning, "unverified-upstream",
                    "`insecureSkipVerify`: any server that answers at the endpoints' addresses gets the requests",
                    hint: "name the authority in caCertificates, and the names in subjectAltNames", at: plan.place,
                    object: rule, path: plan.path))
        } else if plan.terms.acceptsAnyName, let sni = site.tls.sni {
            problems.add(
                Diagnostic(
                    .warning, "any-name-accepted",
                    "`sni` without `subjectAltNames`: a certificate of any name is accepted that the authorities have "
                        + "signed", hint: "write subjectAltNames: [\(sni.value)]", at: sni.place, object: rule,
                    path: sni.path))
        }
    }
}
