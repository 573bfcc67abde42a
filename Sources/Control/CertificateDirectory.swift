internal import Manifests
internal import Reactor
internal import Routing
internal import TLS
internal import Telemetry

/// TLS contexts of the chains, kept over reloads: an unchanged chain keeps its context, a broken one its
/// last good. One thread at a time, the loader's: to read a thousand certificates takes seconds.
struct CertificateDirectory {
    private struct Entry {
        let digests: [Credential.Digests]
        let terms: Terms
        let port: UInt16
        var context: TLSContext
    }

    /// All that a context is made of but for what clients have to show, which may change while the rest stays.
    private struct Terms {
        let pairs: [KeyPair]
        let chain: TLSChain
        let suites: [String]
        let groups: [String]

        func context(_ verification: PeerVerification?) throws(TLSError) -> TLSContext {
            try TLSContext(
                pairs: pairs, minVersion: chain.minVersion.map(CertificateDirectory.version) ?? .tls12,
                maxVersion: chain.maxVersion.map(CertificateDirectory.version) ?? .tls13, cipherSuites: suites,
                verification: verification, groups: groups)
        }
    }

    private var clients: ClientVerifications
    /// How many servers name no authorities to their clients, because they are too many; the new ones of this round.
    var namesLeftOut: Int { clients.namesLeftOut }
    private var entries: [String: Entry] = [:]
    private var used: Set<String> = []    // keys of this round
    /// The pairs of the entries. Nothing else is left of a text that is forgotten.
    private var pairs: [Credential.Digests: KeyPair] = [:]
    private(set) var diagnostics: [Diagnostic] = []
    /// The files that were read, as they were; see `FileWatch`.
    private(set) var stamps: [String: FileStamp?] = [:]
    private let meshFolder: String?
    private var mesh: MeshIdentity?

    /// - Parameter meshFolder: where Istio's agent keeps its files; nil: where it usually does.
    init(meshFolder: String? = nil) {
        self.meshFolder = meshFolder
        clients = ClientVerifications(meshFolder: meshFolder)
    }

    /// Secrets by `namespace/name`, as `context(of:port:secrets:)` wants them.
    static func byName(_ secrets: [Secret]) -> [String: Secret] {
        Dictionary(secrets.map { ("\($0.meta.namespace)/\($0.meta.name)", $0) }) { first, _ in first }
    }

    /// The contexts of all chains of a plan, by listener, in its order: another round.
    mutating func contexts(of plan: RoutingPlan, secrets: [Secret], limit: LoadLimit = LoadLimit()) -> [[TLSContext?]] {
        begin(plan)
        let (named, files) = (Self.byName(secrets), CredentialFiles(of: plan, mesh: mesh))
        stamps.merge(files.stamps) { _, read in read }
        let contexts = plan.listeners.map { listener in
            listener.chains.map { chain in
                limit.isOver ? nil : context(of: chain, port: listener.port, secrets: named, files: files)
            }
        }
        // A key that no server uses any more goes now.
        entries = entries.filter { used.contains($0.key) }
        pairs = [:]
        return contexts
    }

    /// Begins another round: forgets what was said in the last one, and the chains it did not have.
    mutating func begin(_ plan: RoutingPlan = RoutingPlan()) {
        diagnostics = []
        findMesh(plan)
        clients.begin(plan.listeners.lazy.flatMap(\.chains), mesh: mesh)
        stamps.merge(clients.stamps) { _, read in read }
        entries = entries.filter { used.contains($0.key) }
        used = []
        pairs = [:]
        for entry in entries.values {
            for (digest, pair) in zip(entry.digests, entry.terms.pairs) { pairs[digest] = pair }
        }
    }

    private mutating func findMesh(_ plan: RoutingPlan) {
        let isWanted = plan.listeners.contains { $0.chains.contains { $0.certificates.contains(.mesh) } }
        mesh = isWanted ? MeshIdentity.find(folder: meshFolder) : nil
        stamps = isWanted && mesh == nil ? MeshIdentity.absentStamps(folder: meshFolder) : [:]
    }

    /// The context of one chain; nil when it never had a usable certificate.
    mutating func context(
        of chain: TLSChain, port: UInt16, secrets: [String: Secret], files: CredentialFiles
    ) -> TLSContext? {
        let key = "\(chain.gateway) \(port) \(chain.serverNames.sorted().joined(separator: ","))"
        used.insert(key)
        let verification: PeerVerification?
        switch clients.verification(of: chain, secrets: secrets) {
        case .success(let found): verification = found
        case .failure(let failure): return nobody(chain, failure)
        }
        var credentials: [Credential] = []
        for source in chain.certificates {
            switch load(source, secrets, files, chain) {
            case .success(let credential): credentials.append(credential)
            case .failure(let failure): return lastGood(key, chain, port, verification, failure)
            }
        }
        guard let suites = cipherSuites(of: chain) else {
            return lastGood(key, chain, port, verification, .noSuite(chain))
        }
        guard let groups = groups(of: chain) else { return lastGood(key, chain, port, verification, .noGroup(chain)) }
        let digests = credentials.compactMap(\.digests)
        if let entry = entries[key], entry.digests == digests, entry.terms.chain.hasSameTerms(as: chain),
            entry.context.verification === verification
        {
            warn(entry.context, chain)
            return entry.context
        }
        var pairs: [KeyPair] = []
        for (index, credential) in credentials.enumerated() {
            switch pair(credential) {
            case .success(let pair): pairs.append(pair)
            case .failure(let error):
                return lastGood(key, chain, port, verification, .of(error, index, chain, secrets))
            case nil: return lastGood(key, chain, port, verification, .forgotten(chain, index, secrets))
            }
        }
        do throws(TLSError) {
            let terms = Terms(pairs: pairs, chain: chain, suites: suites, groups: groups)
            let context = try terms.context(verification)
            entries[key] = Entry(digests: digests, terms: terms, port: port, context: context)
            warn(context, chain)
            return context
        } catch {
            let culprit = pairs.firstIndex { pairs.count == 1 || (try? TLSContext(pairs: [$0])) == nil }
            return lastGood(key, chain, port, verification, .of(error, culprit, chain, secrets))
        }
    }

    /// The pair of a credential, read once for all chains that serve with it; nil if its texts are forgotten and no
    /// entry has the pair.
    private mutating func pair(_ credential: Credential) -> Result<KeyPair, TLSError>? {
        guard let digests = credential.digests else { return nil }
        if let known = pairs[digests] { return .success(known) }
        let read = credential.pair()
        if case .success(let pair) = read { pairs[digests] = pair }
        return read
    }

    /// The chosen suites without those that this OpenSSL cannot do; nil when none is left.
    private mutating func cipherSuites(of chain: TLSChain) -> [String]? {
        let usable = chain.cipherSuites.filter { suite in
            let isKnown = Gateway.TLS.cipherSuiteNames.contains(suite.name)
            if isKnown, TLSContext.supports(cipherSuite: suite.name) { return true }
            // Of the others the reader of the file has warned.
            if isKnown {
                diagnostics.append(
                    Diagnostic(
                        .warning, "unsupported-cipher-suite",
                        "this OpenSSL cannot do the cipher suite `\(suite.name)`: it is left out", hint: "remove it",
                        at: suite.place, object: chain.gateway))
            }
            return false
        }
        return usable.isEmpty && !chain.cipherSuites.isEmpty ? nil : usable.map(\.name)
    }

    /// The chosen key exchanges without those that this OpenSSL cannot do; nil when none is left.
    private mutating func groups(of chain: TLSChain) -> [String]? {
        let usable = chain.groups.filter(TLSContext.supports(group:))
        for name in chain.groups where !usable.contains(name) {
            diagnostics.append(
                Diagnostic(
                    .warning, "unsupported-group", "this OpenSSL cannot do the key exchange `\(name)`: it is left out",
                    hint: "remove it", at: chain.place, object: chain.gateway))
        }
        return usable.isEmpty && !chain.groups.isEmpty ? nil : usable
    }

    /// It is not known whose certificates this server accepts.
    private mutating func nobody(_ chain: TLSChain, _ failure: CertificateError) -> TLSContext? {
        report(failure, chain, effect: "no client is accepted for \(chain.serverNames.joined(separator: ", "))")
        return nil
    }

    /// The last good certificates, with what is asked of clients now.
    private func context(of entry: Entry, _ verification: PeerVerification?) -> TLSContext? {
        entry.context.verification === verification ? entry.context : try? entry.terms.context(verification)
    }

    private mutating func lastGood(
        _ key: String, _ chain: TLSChain, _ port: UInt16, _ verification: PeerVerification?, _ failure: CertificateError
    ) -> TLSContext? {
        var kept: TLSContext?
        if var entry = entries[key] ?? relative(of: chain, port), let context = context(of: entry, verification) {
            entry.context = context
            entries[key] = entry
            kept = context
        }
        let hosts = chain.serverNames.joined(separator: ", ")
        let effect =
            kept == nil
            ? "handshakes for \(hosts) fail" : "the last good certificate is still served for \(hosts)"
        report(failure, chain, effect: effect, isKept: kept != nil)
        return kept
    }

    private mutating func report(_ failure: CertificateError, _ chain: TLSChain, effect: String, isKept: Bool = false) {
        if failure.isReported, !isKept { return }
        let related =
            failure.place == chain.place
            ? [] : [Diagnostic.Related(place: chain.place, message: "the server that it is for")]
        diagnostics.append(
            Diagnostic(
                failure.isReported ? .note : .error, failure.code, "\(failure.sentence): \(effect)", hint: failure.hint,
                at: failure.place, object: failure.object, path: failure.path, related: related))
    }

    /// The entry of the same server before its hosts were changed: it serves one of the hosts already.
    private func relative(of chain: TLSChain, _ port: UInt16) -> Entry? {
        let names = Set(chain.serverNames)
        return entries.values.first {
            $0.port == port && $0.terms.chain.gateway == chain.gateway
                && !names.isDisjoint(with: $0.terms.chain.serverNames)
        }
    }

    /// What the certificates say of themselves: expiry, and hosts that they do not cover.
    private mutating func warn(_ context: TLSContext, _ chain: TLSChain) {
        for report in context.reports {
            for problem in report.problems {
                diagnostics.append(
                    Diagnostic(
                        .warning, "certificate-problem",
                        "certificate of \(chain.serverNames.joined(separator: ", ")): \(problem)",
                        at: chain.place, object: chain.gateway))
            }
        }
        for host in chain.serverNames where host != "*" && !context.reports.contains(where: { $0.covers(host: host) }) {
            diagnostics.append(
                Diagnostic(
                    .warning, "certificate-host", "no certificate of this server covers \(host)",
                    hint: "clients that check names will refuse it; add the name to the certificate", at: chain.place,
                    object: chain.gateway))
        }
    }

    private func load(
        _ source: CertificateSource, _ secrets: [String: Secret], _ files: CredentialFiles, _ server: TLSChain
    ) -> Result<Credential, CertificateError> {
        switch source {
        case .secret(let namespace, let name):
            guard let secret = secrets["\(namespace)/\(name)"] else {
                return .failure(.reported("there is no Secret \(namespace)/\(name)", server))
            }
            return CertificateError.pair(secret)
        case .refused(let name): return .failure(.reported("`\(name)` is not used", server))
        case .files(let certificate, let key):
            return Self.load(
                certificate, key, files, server,
                hint: "put it there, or correct `tls.serverCertificate` and `tls.privateKey` of the server")
        case .mesh:
            guard let mesh else { return .failure(.noMesh(server, meshFolder)) }
            return Self.load(
                mesh.certificate, mesh.key, files, server,
                hint: "have the agent write it, and name the folder by --istio-identity")
        }
    }

    private static func load(
        _ certificate: String, _ key: String, _ files: CredentialFiles, _ server: TLSChain, hint: String
    ) -> Result<Credential, CertificateError> {
        do throws(FileContents.Failure) {
            guard let chain = try files[certificate]?.get(), let key = try files[key]?.get() else {
                return .failure(
                    CertificateError(
                        sentence: "\(certificate) and \(key) were not read", place: server.place,
                        object: server.gateway))
            }
            return .success(Credential(chain: chain, key: key, staple: files.staple(of: certificate)))
        } catch {
            return .failure(
                CertificateError(
                    sentence: error.description, place: server.place, object: server.gateway,
                    hint: hint))
        }
    }

    private static func version(_ version: Manifests.TLSVersion) -> TLS.TLSVersion {
        switch version {
        case .tls10: .tls10
        case .tls11: .tls11
        case .tls12: .tls12
        case .tls13: .tls13
        }
    }
}

extension TLSChain {
    /// Whether a client gets the same versions and cipher suites by both: everything but the certificates.
    func hasSameTerms(as other: TLSChain) -> Bool {
        minVersion == other.minVersion && maxVersion == other.maxVersion
            && cipherSuites.map(\.name) == other.cipherSuites.map(\.name) && groups == other.groups
            && clients == other.clients
    }
}
