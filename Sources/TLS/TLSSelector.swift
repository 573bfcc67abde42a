internal import COpenSSL

/// One listener's table of server names: which chain serves which SNI.
///
/// OpenSSL wants a context before it has read the ClientHello. All sessions start with one common
/// context without certificates; its callback finds the session, asks the session's selector, and
/// switches to the chosen chain. A name that fits nothing ends there, before any ServerHello.
/// Ticket keys are the process's (`TicketKeys`), so a reload does not cost clients their sessions;
/// the session-id context (certificates and names of the chain) keeps a ticket from being used on
/// another chain.
///
/// Thread: any. Freed by: the last snapshot or session that has it.
package final class TLSSelector: Sendable {
    /// The context of one certificate, with the owner's number and what keeps its tickets from other chains.
    struct Chain: Sendable {
        let context: TLSContext
        let number: Int
        let sessionContext: [UInt8]    // at most 32 octets
    }

    /// Numbers from the count of `chains` on are places in `passed`, and the number behind these is of closed names.
    private let names: ServerNames
    let chains: [Chain]
    private let passed: [Int]    // the owner's numbers
    /// Whether a server of this listener asks its clients for a certificate.
    package let asksClients: Bool

    /// - Parameters:
    ///   - chains: server names are exact, `*.suffix` (any depth) or `*`; no name at all
    ///     means `*`. Where two chains claim one name, the first has it. `number` is the owner's name for it.
    ///   - passed: the same of connections whose TLS is not ended here.
    ///   - closed: names of servers that cannot serve, and that no wider name may serve.
    package init(
        chains: [(serverNames: [String], context: TLSContext, number: Int)],
        passed: [(serverNames: [String], number: Int)] = [], closed: [[String]] = []
    ) {
        var names = ServerNames()
        for (index, chain) in chains.enumerated() { names.add(chain.serverNames, chain: index) }
        for (index, entry) in passed.enumerated() { names.add(entry.serverNames, chain: chains.count + index) }
        for entry in closed { names.add(entry, chain: chains.count + passed.count) }
        self.names = names
        self.passed = passed.map(\.number)
        asksClients = !closed.isEmpty || chains.contains { $0.context.verification != nil }
        self.chains = chains.map { chain in
            let text = chain.serverNames.map(ServerNames.normal).sorted().joined(separator: "\n")
            let identity = chain.context.fingerprint + Array(text.utf8)
            return Chain(
                context: chain.context, number: chain.number, sessionContext: Self.digest(identity))
        }
    }

    /// The number of the chain by which a connection with this server name would be served now; nil when
    /// none fits.
    package func chainNumber(serverName: String?) -> Int? { chain(for: serverName)?.number }

    /// The chain for a name in its normal form; nil when none fits.
    func chain(for serverName: String?) -> Chain? {
        guard let place = names.chain(for: serverName), place < chains.count else { return nil }
        return chains[place]
    }

    /// Whether the ClientHello decides between our TLS and connections that keep theirs.
    package var hasPassed: Bool { !passed.isEmpty }

    /// What becomes of a connection whose TLS was not begun yet.
    package enum Choice: Equatable, Sendable {
        /// We end its TLS.
        case terminate
        /// It keeps its TLS; the owner's number.
        case pass(Int)
        /// The name is of a server that cannot serve.
        case close
        /// No name fits.
        case none
    }

    /// - Parameter serverName: in lower case; nil: the client sent none.
    package func choice(serverName: String?) -> Choice {
        guard let place = names.chain(for: serverName) else { return .none }
        if place < chains.count { return .terminate }
        return place < chains.count + passed.count ? .pass(passed[place - chains.count]) : .close
    }

    /// Whether a session that may be older than this configuration fulfils what its server asks of clients now.
    package func accepts(_ session: TLSSession) -> Bool {
        chain(for: session.serverName)?.context.accepts(session) ?? true
    }

    /// Whether a request for a host has to come on another connection, because the server of that name asks clients
    /// for what this one did not show. Without it, a client could name one server in its ClientHello and another one
    /// in its request.
    /// - Parameter host: in lower case, without a port.
    package func bars(host: String, from session: TLSSession) -> Bool {
        guard let place = names.chain(for: host), place != names.chain(for: session.serverName) else { return false }
        return place >= chains.count || !chains[place].context.accepts(session)
    }

    private static func digest(_ octets: [UInt8]) -> [UInt8] {
        unsafe Array(unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { room, count in
            var length: UInt32 = 0
            let isMade =
                unsafe EVP_Digest(
                    octets, octets.count, room.baseAddress, &length, EVP_sha256(), nil) == 1
            count = isMade ? Int(length) : 0
        }
    }
}

/// The context that every server session starts with; one per process, never freed.
///
/// Thread: any. Freed by: nobody: it lasts as long as the process.
@safe final class CommonContext: Sendable {
    /// Not changed after `init`; see `TLSContext.raw`.
    nonisolated(unsafe) let raw: OpaquePointer

    static let shared: Result<CommonContext, TLSError> = Result { () throws(TLSError) in
        try CommonContext()
    }

    private init() throws(TLSError) {
        let context = try OwnedContext.make(isServer: true)
        try context.setVersions(.tls10 ... .tls13)
        unsafe context.configure {
            unsafe SSL_CTX_set_client_hello_cb($0, Self.clientHello, nil)
            unsafe SSL_CTX_set_tlsext_ticket_key_evp_cb($0, TicketKeys.callback)
            unsafe TicketLife.install(on: $0)
        }
        unsafe raw = context.release()
    }

    private static let clientHello: SSL_client_hello_cb_fn = { ssl, alert, _ in
        guard let ssl = unsafe ssl, let user = unsafe SSL_get_ex_data(ssl, 0) else {
            return SSL_CLIENT_HELLO_ERROR
        }
        let session = unsafe Unmanaged<TLSSession>.fromOpaque(user).takeUnretainedValue()
        guard let refusal = session.clientHelloArrived() else { return SSL_CLIENT_HELLO_SUCCESS }
        unsafe alert?.pointee = refusal
        return SSL_CLIENT_HELLO_ERROR
    }
}
