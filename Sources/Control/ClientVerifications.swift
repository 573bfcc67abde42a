internal import Manifests
internal import Octets
internal import Reactor
internal import Routing
internal import TLS

/// What servers verify the certificates of their clients by, kept over reloads: the same demand with the same texts
/// keeps its object, and with it the sessions of clients. A server whose authorities are missing or broken gets none,
/// and so accepts nobody: the last good ones might trust whom the operator has just ceased to trust.
/// One thread at a time, the loader's.
struct ClientVerifications {
    private struct Key: Hashable {
        var demand: ClientDemand    // without where its texts come from
        let authorities: [UInt8]    // digests
        let revocations: [[UInt8]]
    }

    private let meshFolder: String?
    private var made: [Key: PeerVerification] = [:]
    private var used: Set<Key> = []
    /// Authorities and lists by their digests. They are public, and needed again when a Secret that is kept over a
    /// problem has forgotten them.
    private var texts: [[UInt8]: [UInt8]] = [:]
    private var files: [String: Result<[UInt8], FileContents.Failure>] = [:]
    private var mesh: MeshIdentity?
    /// How many were made whose authorities' names are left out, since `begin`.
    private(set) var namesLeftOut = 0
    /// The files as they were just before they were read; nil: there was none.
    private(set) var stamps: [String: FileStamp?] = [:]

    /// Octets of one file, and of all files of one load.
    private static let mostOctetsOfFile = 16 << 20
    private static let mostOctets = 64 << 20

    /// - Parameter meshFolder: where Istio's agent keeps its files; nil: where it usually does.
    init(meshFolder: String?) { self.meshFolder = meshFolder }

    /// Begins another round, with the files that servers of the plan name: forgets what the last one did not use.
    /// - Parameter mesh: the files of Istio's agent, if they were found.
    mutating func begin(_ chains: some Sequence<TLSChain>, mesh: MeshIdentity? = nil) {
        self.mesh = mesh
        (stamps, namesLeftOut) = ([:], 0)
        made = made.filter { used.contains($0.key) }
        let wanted = Set(made.keys.flatMap { [$0.authorities] + $0.revocations })
        texts = texts.filter { wanted.contains($0.key) }
        used = []
        files = [:]
        var octets = 0
        for clients in chains.lazy.compactMap(\.clients) {
            var paths: [String] = clients.revocations.map { [$0] } ?? []
            if case .file(let path) = clients.authorities { paths.append(path) }
            if case .mesh = clients.authorities, let mesh { paths.append(mesh.authorities) }
            for path in paths where files[path] == nil {
                stamps[path] = .some(FileStamp(path))
                let contents = Self.read(path, limitOctets: min(Self.mostOctetsOfFile, Self.mostOctets - octets))
                if case .success(let text) = contents { octets += text.count }
                files[path] = contents
            }
        }
    }

    private static func read(_ path: String, limitOctets: Int) -> Result<[UInt8], FileContents.Failure> {
        do throws(FileContents.Failure) {
            return .success(try FileContents.read(path, limitOctets: limitOctets))
        } catch {
            return .failure(error)
        }
    }

    /// What the clients of a server are verified by; nil within success: they are not asked.
    mutating func verification(
        of chain: TLSChain, secrets: [String: Secret]
    ) -> Result<PeerVerification?, CertificateError> {
        guard let clients = chain.clients else { return .success(nil) }
        do throws(CertificateError) {
            let (authorities, list) = try authorities(of: clients, chain, secrets)
            var lists = list.map { [$0] } ?? []
            if let path = clients.revocations { lists.append(try file(path, chain)) }
            var demand = clients
            (demand.authorities, demand.revocations) = (.refused(""), nil)
            let key = Key(
                demand: demand, authorities: remember(authorities), revocations: lists.map { remember($0) })
            used.insert(key)
            if let known = made[key] { return .success(known) }
            let fresh = try make(clients, authorities, lists, chain, secrets)
            if fresh.leavesNamesOut { namesLeftOut += 1 }
            made[key] = fresh
            return .success(fresh)
        } catch {
            return .failure(error)
        }
    }

    private func make(
        _ clients: ClientDemand, _ authorities: [UInt8], _ lists: [[UInt8]], _ chain: TLSChain,
        _ secrets: [String: Secret]
    ) throws(CertificateError) -> PeerVerification {
        var requirement = PeerRequirement(authorities: .pem(authorities))
        requirement.revocations = Array(lists.joined(separator: [UInt8(ascii: "\n")]))
        requirement.names = clients.names
        requirement.keyPins = clients.keyPins
        requirement.certificatePins = clients.certificatePins
        requirement.isOptional = clients.isOptional
        requirement.isSkipped = clients.isSkipped
        do throws(TLSError) {
            return try PeerVerification(requirement)
        } catch {
            throw unusable(error, clients, chain, secrets)
        }
    }

    private mutating func remember(_ text: [UInt8]) -> [UInt8] {
        let digest = text.withOctets { Digest.sha256($0) }
        texts[digest] = text
        return digest
    }

    // MARK: texts

    private func authorities(
        of clients: ClientDemand, _ chain: TLSChain, _ secrets: [String: Secret]
    ) throws(CertificateError) -> (authorities: [UInt8], revocations: [UInt8]?) {
        switch clients.authorities {
        case .refused(let name): throw .reported("`\(name)` is not used", chain)
        case .file(let path): return (try file(path, chain), nil)
        case .mesh:
            guard let mesh else { throw .noMesh(chain, meshFolder) }
            return (try file(mesh.authorities, chain), nil)
        case .secret(let namespace, let name):
            guard let secret = secrets["\(namespace)/\(name)"] else {
                throw .reported("there is no Secret \(namespace)/\(name)", chain)
            }
            for (authorities, revocations) in Self.styles {
                guard let value = secret.data[authorities]?.value, !value.isEmpty else { continue }
                if secret.damaged.contains(revocations) { throw Self.damaged(revocations, secret) }
                let list = secret.data[revocations].flatMap { $0.value.isEmpty ? nil : $0.value }
                return (
                    try text(value, secret),
                    try list.map { (list) throws(CertificateError) in try text(list, secret) }
                )
            }
            throw Self.lacking(secret)
        }
    }

    /// In Istio's order.
    private static let styles = [("cacert", "crl"), ("ca.crt", "ca.crl")]

    private func text(_ value: SecretOctets, _ secret: Secret) throws(CertificateError) -> [UInt8] {
        // Made now, so that the text is known by it when the Secret has forgotten it.
        let digest = value.digest(Digest.sha256)
        if let text = value.withOctets(\.array) ?? digest.flatMap({ texts[$0] }) { return text }
        throw CertificateError(
            sentence: "the last good authorities of \(secret.meta.identity) are not kept", place: secret.meta.place,
            object: secret.meta.identity, hint: "mend the Secret")
    }

    private func file(_ path: String, _ chain: TLSChain) throws(CertificateError) -> [UInt8] {
        switch files[path] {
        case .success(let text): return text
        case .failure(let failure):
            throw CertificateError(sentence: failure.description, place: chain.place, object: chain.gateway)
        case nil: throw CertificateError(sentence: "\(path) was not read", place: chain.place, object: chain.gateway)
        }
    }

    // MARK: problems

    private static func damaged(_ key: String, _ secret: Secret) -> CertificateError {
        CertificateError(
            sentence: "`\(key)` of \(secret.meta.identity) cannot be read", place: secret.meta.place,
            object: secret.meta.identity, hint: "its error is reported at the value")
    }

    private static func lacking(_ secret: Secret) -> CertificateError {
        if let key = styles.map(\.0).first(where: secret.damaged.contains) { return damaged(key, secret) }
        let found = secret.data.keys.sorted().joined(separator: ", ")
        return CertificateError(
            sentence: "\(secret.meta.identity) has neither cacert nor ca.crt, for the authorities of clients"
                + (found.isEmpty ? "; it is empty" : "; it has \(found)"),
            place: secret.meta.place, object: secret.meta.identity,
            hint: "put the authority's certificate in as ca.crt, in PEM")
    }

    /// What OpenSSL says of the texts.
    private func unusable(
        _ error: TLSError, _ clients: ClientDemand, _ chain: TLSChain, _ secrets: [String: Secret]
    ) -> CertificateError {
        var isOfList = false
        if case .unusableRevocations = error { isOfList = true }
        guard case .secret(let namespace, let name) = clients.authorities, !isOfList || clients.revocations == nil,
            let secret = secrets["\(namespace)/\(name)"]
        else {
            var path = isOfList ? clients.revocations : nil
            if !isOfList, case .file(let authorities) = clients.authorities { path = authorities }
            if !isOfList, case .mesh = clients.authorities { path = mesh?.authorities }
            let sentence = path.map { "\($0): \(error)" } ?? error.description
            return CertificateError(sentence: sentence, place: chain.place, object: chain.gateway)
        }
        let style = Self.styles.first { secret.data[$0.0]?.value.isEmpty == false } ?? Self.styles[1]
        let key = isOfList ? style.1 : style.0
        return CertificateError(
            sentence: "`\(key)` of \(secret.meta.identity) cannot be used (\(error))",
            place: secret.data[key]?.place ?? secret.meta.place, object: secret.meta.identity,
            path: secret.data[key]?.path)
    }
}
