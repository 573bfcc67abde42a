internal import Octets
internal import Reactor
internal import TLS

/// What a connection needs, read from files, programs and the resolver.
struct PreparedAccess: Sendable {
    /// The server's addresses, in the resolver's order: each is tried.
    let addresses: [SocketAddress]
    let context: TLSClientContext
    let credential: PreparedCredential
}

/// What requests are authorized with, and until when.
struct PreparedCredential: Sendable {
    var bearer: String?
    /// Made by a plugin: the certificate that the client shows.
    var identity: KeyPair?
    /// Seconds since 1970; nil: without end.
    var expiresAt: Int64?
    /// Of the token's file, when it was read.
    var stamp: FileStamp?

    /// Whether it should be replaced, in time before its end.
    func isDue(at second: Int64) -> Bool { expiresAt.map { second >= $0 - Self.marginSeconds } ?? false }
    /// Whether the credentials have ended. - Parameter second: of the wall clock, since 1970.
    func isExpired(at second: Int64) -> Bool { expiresAt.map { second >= $0 } ?? false }
    private static let marginSeconds: Int64 = 60
}

extension ClusterAccess {
    /// Reads files, runs the plugin if there is one, resolves the name. It may block for long: for a thread of its own.
    /// - Parameter known: what is still valid of an earlier call, so that no plugin is run.
    func prepare(keeping known: PreparedCredential?) throws(AccessError) -> PreparedAccess {
        let credential = if let known { known } else { try prepareCredential() }
        return PreparedAccess(
            addresses: try resolve(), context: try makeContext(credential.identity), credential: credential)
    }

    func prepareCredential() throws(AccessError) -> PreparedCredential {
        switch credential {
        case .none: PreparedCredential()
        case .token(let token):
            PreparedCredential(bearer: try TokenText.token(Array(token.utf8), from: "the kubeconfig"))
        case .tokenFile(let path):
            // The stamp first: a file that changes in between is read once more.
            PreparedCredential(stamp: FileStamp(path)).with(bearer: try TokenText.read(path))
        case .plugin(let plugin): try plugin.run(for: self)
        }
    }

    private func resolve() throws(AccessError) -> [SocketAddress] {
        if let address = SocketAddress(host: host, port: port), !host.isEmpty { return [address] }
        do {
            let found = try Resolver.addresses(of: host).compactMap { SocketAddress(host: $0, port: port) }
            guard !found.isEmpty else { throw AccessError("the API server's name \(host) has no address") }
            return found
        } catch let error as ResolverError {
            throw AccessError("the API server's name cannot be resolved: \(error)")
        } catch let error as AccessError {
            throw error
        } catch {
            throw AccessError("the API server's name cannot be resolved: \(error)")
        }
    }

    private func makeContext(_ made: KeyPair?) throws(AccessError) -> TLSClientContext {
        let own: KeyPair?
        if let made { own = made } else { own = try readIdentity() }
        do throws(TLSError) {
            // HTTP/1.1 is offered so that a server without HTTP/2 differs from one that refuses us.
            guard let authorities = try authorities() else {
                return try TLSClientContext(identity: own, verifiesPeer: false, protocols: ["h2", "http/1.1"])
            }
            let verification = try PeerVerification(PeerRequirement(authorities: authorities.get()))
            return try TLSClientContext(
                verification: verification, identity: own, protocols: ["h2", "http/1.1"])
        } catch {
            throw AccessError("the API server's certificate authority, or the client's certificate: \(error)")
        }
    }

    /// nil: any certificate will do.
    private func authorities() throws(TLSError) -> Result<PeerRequirement.Authorities, TLSError>? {
        switch trust {
        case .system: return .success(.system)
        case .pem(let text): return .success(.pem(text))
        case .anything: return nil
        case .file(let path):
            do {
                return .success(.pem(try FileContents.read(path, limitOctets: Self.mostFileOctets)))
            } catch {
                throw .unusableTrust(reason: "\(error)")
            }
        }
    }

    private func readIdentity() throws(AccessError) -> KeyPair? {
        guard let identity else { return nil }
        let chain = try Self.read(identity.chain)
        return try Self.pair(chain.withOctets(\.array) ?? [], try Self.read(identity.key))
    }

    private static func read(_ part: IdentityPart) throws(AccessError) -> SecretOctets {
        switch part {
        case .text(let octets): return octets
        case .file(let path):
            do {
                return try FileContents.readSecret(path, limitOctets: mostFileOctets)
            } catch {
                throw AccessError("the client's certificate: \(error)")
            }
        }
    }

    /// Joins a certificate with its key; it throws if they do not belong together.
    static func pair(_ chain: [UInt8], _ key: SecretOctets) throws(AccessError) -> KeyPair {
        let made = key.withOctets { key in
            chain.withOctets { chain in
                Result { () throws(TLSError) in try KeyPair(chain: chain, key: key) }
            }
        }
        guard let made else { throw AccessError("the client's key was forgotten") }
        do {
            return try made.get()
        } catch {
            throw AccessError("the client's certificate: \(error)")
        }
    }
}

extension PreparedCredential {
    /// A copy that shows this token, and the same certificate.
    func with(bearer: String) -> PreparedCredential {
        var copy = self
        copy.bearer = bearer
        return copy
    }
}
