internal import Reactor

/// How the next connection to the API server comes about, and which credentials it has. It knows no socket and no
/// clock: what is to be done stands in the actions that its functions return.
///
///     idle → preparing → connecting, address by address → idle, when a connection is open
///     preparing, connecting → waiting, when all has failed → idle, when the wait is over
struct ConnectState {
    /// What is being done to have one more connection.
    enum Stage: Equatable {
        case idle
        /// A thread reads files, runs a plugin, resolves the name.
        case preparing
        case connecting(rest: ArraySlice<SocketAddress>)
        /// The last try has failed.
        case waiting
    }

    /// For the client to carry out: the state itself does no I/O.
    enum Action {
        /// Has a thread prepare the access, with the credentials that are still valid, or new ones; `prepared` is next,
        /// or `waited` when that takes long.
        case prepare(keeping: PreparedCredential?)
        /// Connects to an address; `opened` or `failed` is next.
        case connect(SocketAddress)
        /// Calls `waited` after so many milliseconds.
        case wait(Int)
        /// Begins no new request on the connections that are open.
        case drain
    }

    /// What is being done now.
    private(set) var stage = Stage.idle
    /// Whether addresses are tried.
    var isConnecting: Bool { if case .connecting = stage { true } else { false } }
    /// What requests are authorized with; nil before the first preparation, and when the server has refused it.
    private(set) var credential: PreparedCredential?
    private let timing: WatchTiming
    private var backOff: BackOff
    private var random: Jitter
    /// When the credentials were last made or looked at.
    private var lookedAt: Int64 = 0
    /// When credentials that the server did not take were last made anew.
    private var renewedAt = Int64.min / 2
    /// Whether credentials are being made anew, and not a connection.
    private var isRenewing = false
    /// Whether a plugin, if there is one, runs while a connection is prepared.
    private var runsPlugin = false
    /// Why no connection could be made, since the last `takeOutage`.
    private var outage: String?

    init(timing: WatchTiming, seed: UInt64) {
        self.timing = timing
        backOff = BackOff(first: timing.firstBackOff, most: timing.mostBackOff)
        random = Jitter(seed: seed)
    }

    // MARK: a connection

    /// A connection is wanted. The credentials are made anew if they end soon.
    mutating func wants(at now: Moment) -> [Action] {
        prepare(keeping: credential.flatMap { $0.isDue(at: now.wall / 1000) ? nil : $0 })
    }

    private mutating func prepare(keeping known: PreparedCredential?) -> [Action] {
        guard stage == .idle else { return [] }
        stage = .preparing
        runsPlugin = known == nil
        return [.prepare(keeping: known)]
    }

    /// The thread that prepares is done.
    /// - Parameter hasRoom: whether a connection takes further requests, so that no other one is needed.
    mutating func prepared(
        _ result: Result<(addresses: [SocketAddress], credential: PreparedCredential), AccessError>, hasRoom: Bool,
        at now: Moment
    ) -> [Action] {
        guard stage == .preparing else { return [] }
        lookedAt = now.steady
        switch result {
        case .failure(let failure):
            let isUsable = credential.map { !$0.isExpired(at: now.wall / 1000) } ?? false
            guard isUsable, hasRoom else { return giveUp(failure.description) }
            stage = .idle    // the old credentials go on, and the next look comes soon
            isRenewing = false
            return []
        case .success(let ready):
            // A new certificate is shown on a new connection only.
            let drains: [Action] = isRenewing && ready.credential.identity != nil ? [.drain] : []
            credential = ready.credential
            isRenewing = false
            if hasRoom, drains.isEmpty {
                stage = .idle
                return []
            }
            stage = .connecting(rest: ready.addresses[...])
            return drains + failed("the API server has no address")
        }
    }

    /// No connection came of an address: the next one is tried.
    mutating func failed(_ reason: String) -> [Action] {
        guard case .connecting(var rest) = stage else { return [] }
        guard let address = rest.popFirst() else { return giveUp(reason) }
        stage = .connecting(rest: rest)
        return [.connect(address)]
    }

    private mutating func giveUp(_ reason: String) -> [Action] {
        stage = .waiting
        outage = reason
        return [.wait(backOff.next(&random))]
    }

    /// A connection takes requests from now on.
    mutating func opened() { stage = .idle }

    /// A server that ends each connection without an answer must not be called again at once.
    mutating func lostUnused(_ reason: String) -> [Action] { stage == .idle ? giveUp(reason) : [] }

    /// The wait before the next try is over, or the preparation takes long. A plugin that hangs is ended much later
    /// than somebody wants to hear of it.
    /// - Parameter hasRoom: whether a connection takes further requests, so that nobody waits for another one.
    mutating func waited(for access: ClusterAccess, hasRoom: Bool) {
        switch stage {
        case .waiting: stage = .idle
        case .preparing: if !hasRoom || credential == nil { outage = slowness(of: access) }
        case .idle, .connecting: break
        }
    }

    private func slowness(of access: ClusterAccess) -> String {
        let seconds = timing.preparation / 1000
        if runsPlugin, case .plugin(let plugin) = access.credential {
            return
                "the credential plugin \(plugin.command), or the look-up of \(access.host), has not ended after "
                + "\(seconds) s; it is waited for"
        }
        return "the name \(access.host) has not been resolved after \(seconds) s; it is waited for"
    }

    /// The server has answered a request.
    mutating func answered() { backOff.reset() }

    /// Whether `takeOutage` has something to give.
    var hasOutage: Bool { outage != nil }

    /// Why no connection could be made, once for each try.
    mutating func takeOutage() -> String? {
        defer { outage = nil }
        return outage
    }

    // MARK: credentials

    /// The server did not take the credentials. Several requests may say so of the same ones, and a plugin whose
    /// credentials are of no use must not run all the time.
    mutating func refused(at now: Moment) -> [Action] {
        guard stage == .idle, now.steady >= renewedAt + Int64(timing.tokenFile) else { return [] }
        renewedAt = now.steady
        credential = nil
        return renew()
    }

    private mutating func renew() -> [Action] {
        isRenewing = true
        return prepare(keeping: nil)
    }

    /// Replaces credentials that end soon, and a token whose file was replaced. The old ones are used meanwhile.
    /// - Parameter isReplaced: whether the token's file is no longer the one of the stamp; it is asked now and then.
    mutating func look(at now: Moment, isReplaced: (FileStamp?) -> Bool) -> [Action] {
        guard let known = credential, stage == .idle, now.steady >= lookedAt + Int64(timing.tokenFile) else {
            return []
        }
        lookedAt = now.steady
        return known.isDue(at: now.wall / 1000) || isReplaced(known.stamp) ? renew() : []
    }
}
