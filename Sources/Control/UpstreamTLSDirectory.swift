internal import Manifests
internal import Octets
internal import Proxy
internal import Reactor
internal import Routing
internal import TLS

/// TLS of the clusters, kept over reloads: terms of which nothing has changed keep their object, and with it the
/// connections; where a file or Secret is broken now, the last good one of the same terms stays. One thread at a time,
/// the loader's.
struct UpstreamTLSDirectory {
    private typealias Terms = UpstreamTLSPlan.Terms

    private struct Entry {
        let contextKey: ContextKey
        let peer: UpstreamSecurity.Peer
        let security: UpstreamSecurity
    }

    /// What a context is made of.
    private struct ContextKey: Hashable {
        let trust: TrustKey
        let identity: Credential.Digests?
    }

    private enum TrustKey: Hashable {
        case unverified, system
        /// Their digests; empty for none.
        case texts(authorities: [UInt8], revocations: [UInt8])
    }

    private struct SecurityKey: Hashable {
        let context: ObjectIdentifier
        let peer: UpstreamSecurity.Peer
    }

    private var entries: [Terms: Entry] = [:]
    // What the entries are made of, for others that need the same. Nothing else is left of a text that is forgotten.
    private var pairs: [Credential.Digests: KeyPair] = [:]
    private var verifications: [TrustKey: PeerVerification] = [:]
    private var contexts: [ContextKey: TLSClientContext] = [:]
    private var securities: [SecurityKey: UpstreamSecurity] = [:]
    private(set) var diagnostics: [Diagnostic] = []
    /// The files that were read, as they were; see `FileWatch`.
    private(set) var stamps: [String: FileStamp?] = [:]
    private let meshFolder: String?

    /// - Parameter meshFolder: where Istio's agent keeps its files; nil: where it usually does.
    init(meshFolder: String?) { self.meshFolder = meshFolder }

    /// Where clusters want the same, and where that is written.
    private struct Site: Hashable {
        let terms: Terms
        let rule: ObjectReference
        let place: SourcePlace
        let path: String
    }

    /// The TLS of a plan's clusters, by their numbers: another round.
    mutating func all(of plan: RoutingPlan, secrets: [Secret], limit: LoadLimit = LoadLimit()) -> [Int: ClusterTLS] {
        var result: [Int: ClusterTLS] = [:]
        var sites: [Site: [Int]] = [:]
        for (index, cluster) in plan.clusters.enumerated() {
            guard let tls = cluster.tls else { continue }
            if let refusal = tls.refusal {
                result[index] = .unavailable(refusal)
            } else {
                let site = Site(terms: tls.terms, rule: tls.rule, place: tls.place, path: tls.path)
                sites[site, default: []].append(index)
            }
        }
        var source = begin(sites.keys.map(\.terms), secrets)
        var kept: [Terms: Entry] = [:]
        for (site, numbers) in sites.sorted(by: { ($0.value.first ?? 0) < ($1.value.first ?? 0) })
        where !limit.isOver {
            let hosts = numbers.map { plan.clusters[$0].host }
            let tls = self.tls(of: site, hosts, &source, &kept)
            for number in numbers { result[number] = tls }
        }
        if !limit.isOver { end(kept) }
        return result
    }

    private mutating func begin(_ terms: [Terms], _ secrets: [Secret]) -> CredentialSource {
        diagnostics = []
        let source = CredentialSource(of: terms, secrets: secrets, meshFolder: meshFolder)
        stamps = source.stamps
        return source
    }

    /// A key that no cluster uses any more goes now.
    private mutating func end(_ kept: [Terms: Entry]) {
        entries = kept
        let contextKeys = Set(kept.values.map(\.contextKey))
        let used = Set(kept.values.map { ObjectIdentifier($0.security) })
        contexts = contexts.filter { contextKeys.contains($0.key) }
        let identities = Set(contextKeys.compactMap(\.identity))
        pairs = pairs.filter { identities.contains($0.key) }
        let trusts = Set(contextKeys.map(\.trust))
        verifications = verifications.filter { trusts.contains($0.key) }
        securities = securities.filter { used.contains(ObjectIdentifier($0.value)) }
    }

    private mutating func tls(
        of site: Site, _ hosts: [String], _ source: inout CredentialSource, _ kept: inout [Terms: Entry]
    ) -> ClusterTLS {
        let made = entry(of: site, source)
        switch made {
        case .success(let entry):
            kept[site.terms] = entry
            warn(site, entry)
            return .secure(entry.security)
        case .failure(let failure):
            let last = entries[site.terms]
            kept[site.terms] = last
            report(failure, site, hosts, isKept: last != nil)
            return last.map { .secure($0.security) } ?? .unavailable(failure.sentence)
        }
    }

    private mutating func entry(of site: Site, _ source: CredentialSource) -> Result<Entry, CredentialError> {
        do throws(CredentialError) {
            let identity = try source.identity(of: site.terms)
            let pair = try identity.map { (text) throws(CredentialError) in try self.pair(text, source, site.terms) }
            let (key, trust) = try trust(of: site.terms, source)
            let contextKey = ContextKey(trust: key, identity: identity?.digests)
            let context = try context(contextKey, trust, pair)
            let peer = Self.peer(of: site.terms, pair)
            let securityKey = SecurityKey(context: ObjectIdentifier(context), peer: peer)
            let security = securities[securityKey] ?? UpstreamSecurity(context: context, peer: peer)
            securities[securityKey] = security
            return .success(Entry(contextKey: contextKey, peer: peer, security: security))
        } catch {
            return .failure(error)
        }
    }

    private static func peer(of terms: Terms, _ pair: KeyPair?) -> UpstreamSecurity.Peer {
        var peer = UpstreamSecurity.Peer()
        if case .fixed(let name) = terms.serverName { peer.serverName = name }
        peer.needsHost = terms.needsHost
        peer.names = terms.names
        peer.isMesh = terms.isOfMesh
        if let namespace = terms.meshNamespace, let domain = pair?.trustDomain {
            peer.uriPrefix = "spiffe://\(domain)/ns/\(namespace)/sa/"
        }
        return peer
    }

    /// The pair of a credential, read once for all terms that show it.
    private mutating func pair(
        _ credential: Credential, _ source: CredentialSource, _ terms: Terms
    ) throws(CredentialError) -> KeyPair {
        guard let digests = credential.digests, let read = pairs[digests].map({ .success($0) }) ?? credential.pair()
        else { throw source.forgotten(terms.identity) }
        switch read {
        case .success(let pair):
            pairs[digests] = pair
            return pair
        case .failure(let error): throw source.unusable(error, terms.identity)
        }
    }

    private mutating func trust(
        of terms: Terms, _ source: CredentialSource
    ) throws(CredentialError) -> (TrustKey, PeerVerification) {
        guard let texts = try source.authorities(of: terms) else {
            let isVerified = terms.trust != .unverified
            let key: TrustKey = isVerified ? .system : .unverified
            return (key, try verification(key, source, terms) { .some(PeerRequirement(authorities: .system)) })
        }
        guard let authorities = Self.digest(texts.authorities), let revocations = Self.digest(texts.revocations) else {
            throw source.forgotten(terms.trust)
        }
        let key = TrustKey.texts(authorities: authorities, revocations: revocations)
        return (key, try verification(key, source, terms) { texts.requirement })
    }

    /// - Returns: empty for no text; nil if the text was forgotten before it had a digest.
    private static func digest(_ text: SecretOctets?) -> [UInt8]? {
        guard let text else { return [] }
        return text.digest(Digest.sha256)
    }

    private mutating func verification(
        _ key: TrustKey, _ source: CredentialSource, _ terms: Terms, _ make: () -> PeerRequirement?
    ) throws(CredentialError) -> PeerVerification {
        if let known = verifications[key] { return known }
        guard var requirement = make() else { throw source.forgotten(terms.trust) }
        requirement.isSkipped = key == .unverified
        do throws(TLSError) {
            let made = try PeerVerification(requirement)
            verifications[key] = made
            return made
        } catch {
            throw source.unusable(error, terms)
        }
    }

    private mutating func context(
        _ key: ContextKey, _ verification: PeerVerification, _ pair: KeyPair?
    ) throws(CredentialError) -> TLSClientContext {
        if let known = contexts[key] { return known }
        do throws(TLSError) {
            let made = try TLSClientContext(verification: verification, identity: pair, protocols: [])
            contexts[key] = made
            return made
        } catch {
            throw CredentialError("TLS cannot be made ready: \(error)")
        }
    }

    // MARK: what is said

    private mutating func report(_ failure: CredentialError, _ site: Site, _ hosts: [String], isKept: Bool) {
        let first = hosts.first ?? ""
        let whom = hosts.count > 1 ? "\(first) and \(hosts.count - 1) more clusters" : first
        let effect =
            isKept ? "the last good one is still used for \(whom)" : "requests to \(whom) are answered 503"
        if failure.isReported, !isKept { return }
        let isAtRule = failure.place == nil
        diagnostics.append(
            Diagnostic(
                failure.isReported ? .note : .error, "invalid-credential", "\(failure.sentence): \(effect)",
                hint: failure.hint,
                at: failure.place ?? site.place, object: failure.object ?? site.rule,
                path: isAtRule ? site.path : failure.path,
                related: isAtRule
                    ? [] : [Diagnostic.Related(place: site.place, message: "the DestinationRule that it is for")]))
    }

    /// What the certificate that is shown says of itself.
    private mutating func warn(_ site: Site, _ entry: Entry) {
        guard let digests = entry.contextKey.identity, let pair = pairs[digests] else { return }
        for problem in pair.report.problems where problem != .noAlternativeNames {
            diagnostics.append(
                Diagnostic(
                    .warning, "certificate-problem", "client certificate: \(problem)", at: site.place,
                    object: site.rule, path: site.path))
        }
    }
}
