internal import Balancing
internal import Octets
internal import Reactor
internal import Telemetry

/// What follows from the fates of the attempts of a `ConnectRace`. It knows no socket and no clock.
struct RaceState {
    /// How far an attempt has come.
    enum Attempt: Equatable { case waiting, running, failed }

    private(set) var first = Attempt.running
    private(set) var second = Attempt.waiting
    /// Why attempts have failed, in their order.
    private(set) var reasons: [String] = []

    /// Whether both attempts are under way.
    var isDouble: Bool { first == .running && second == .running }

    /// Whether there may be another attempt.
    var hasAnother: Bool { second == .waiting }

    mutating func secondBegan() { second = .running }

    /// An attempt has failed.
    /// - Returns: what is to be done.
    mutating func failed(isFirst: Bool, _ reason: String) -> Next {
        if isFirst { first = .failed } else { second = .failed }
        reasons.append(reason)
        if first == .running || second == .running { return .wait }
        return second == .waiting ? .beginSecond : .giveUp
    }

    /// What is to be done after an attempt has failed.
    enum Next: Equatable {
        /// The other attempt may be ready still.
        case wait
        /// The second attempt is due at once.
        case beginSecond
        /// Nothing comes of either.
        case giveUp
    }
}

/// Two attempts at one connection to an endpoint that has addresses of both families: the second one begins when the
/// first has failed or is not ready soon, and the one that is ready first is the connection.
///
/// Thread: its worker's. Freed by: the last of its attempts.
final class ConnectRace {
    let addresses: (first: SocketAddress, second: SocketAddress)
    /// When the first attempt began: the time to connect is that of both together.
    let began: MonotonicTime
    fileprivate let memory: FamilyMemory
    fileprivate let isFirstIPv6: Bool
    fileprivate var state = RaceState()
    // They refer to each other until the race is over.
    fileprivate var attempts: (first: Connection?, second: Connection?)

    fileprivate init(
        _ dual: (ipv6: SocketAddress, ipv4: SocketAddress, memory: FamilyMemory), at now: MonotonicTime
    ) {
        isFirstIPv6 = !dual.memory.prefersIPv4(at: now.nanoseconds)
        addresses = isFirstIPv6 ? (dual.ipv6, dual.ipv4) : (dual.ipv4, dual.ipv6)
        memory = dual.memory
        began = now
    }

    fileprivate func other(than connection: Connection) -> Connection? {
        attempts.first === connection ? attempts.second : attempts.first
    }
}

/// Makes connections to endpoints whose name has addresses of both families.
/// Source: RFC 8305 §5; docs/behaviour.md, Names with addresses of both families.
enum Racing {
    /// How long the first address has until the second is tried beside it, where half of the time to connect is not
    /// less. Source: RFC 8305 §5 (Connection Attempt Delay).
    static let attemptDelay = Duration.milliseconds(250)

    /// Begins a connection by the address that leads.
    /// - Returns: false when neither attempt can be made.
    static func begin(_ pool: EndpointPool, for relay: Relay?, by upstreams: Upstreams) -> Bool {
        guard let dual = pool.dual else { return false }
        let race = ConnectRace(dual, at: upstreams.services.loop.now)
        if attempt(race, isFirst: true, pool, relay, upstreams) { return true }
        // Where a machine has no route for one family, this is known at once.
        guard race.state.failed(isFirst: true, upstreams.lastFailure) == .beginSecond else { return false }
        return beginSecond(race, pool, relay, upstreams)
    }

    private static func attempt(
        _ race: ConnectRace, isFirst: Bool, _ pool: EndpointPool, _ relay: Relay?, _ upstreams: Upstreams
    ) -> Bool {
        let address = isFirst ? race.addresses.first : race.addresses.second
        do throws(SystemError) {
            try upstreams.connect(pool, to: address, for: relay, in: race)
            return true
        } catch {
            upstreams.note(ConnectFailure(error), error.reason, pool, at: address.description)
            return false
        }
    }

    /// Enters a connection into the race as its first or its second attempt. The first gets the time when the other is
    /// due.
    static func enter(_ race: ConnectRace, _ connection: Connection, limits: Limits) {
        connection.race = race
        let isFirst = race.state.hasAnother && race.state.first == .running
        connection.reached = (isFirst ? race.addresses.first : race.addresses.second).description
        guard isFirst else { return race.attempts.second = connection }
        race.attempts.first = connection
        let time = connection.state.terms.connectTimeout(limits)
        connection.state.nextAttempt = race.began + min(Self.attemptDelay, time / 2)
    }

    /// The second attempt is due because the first has failed.
    /// - Returns: false when nothing comes of either.
    private static func beginSecond(
        _ race: ConnectRace, _ pool: EndpointPool, _ relay: Relay?, _ upstreams: Upstreams
    ) -> Bool {
        race.state.secondBegan()
        if attempt(race, isFirst: false, pool, relay, upstreams) { return true }
        _ = race.state.failed(isFirst: false, upstreams.lastFailure)
        upstreams.lastFailure = race.state.reasons.joined(separator: "; ")
        return false
    }

    /// The first attempt is not ready yet: the second begins beside it.
    static func tryOther(_ connection: Connection, by upstreams: Upstreams) {
        connection.state.nextAttempt = nil
        upstreams.connections.schedule(connection)
        guard let race = connection.race, let pool = connection.pool, race.state.hasAnother else { return }
        let relay = connection.relay
        race.state.secondBegan()
        let isBegun = attempt(race, isFirst: false, pool, relay, upstreams)
        if let relay { relay.upstream = Unretained(connection) }    // until one of the two is ready
        if isBegun { pool.doubled += 1 } else { _ = race.state.failed(isFirst: false, upstreams.lastFailure) }
    }

    /// An attempt has failed. - Returns: whether the other one may still be ready.
    static func goesOn(without connection: Connection, by upstreams: Upstreams) -> Bool {
        guard let race = connection.race.take(), let pool = connection.pool else { return false }
        let (relay, other) = (connection.relay.take(), race.other(than: connection))
        let isFirst = race.attempts.first === connection
        if race.state.isDouble { pool.doubled -= 1 }
        if isFirst { race.attempts.first = nil } else { race.attempts.second = nil }
        var goesOn = true
        switch race.state.failed(isFirst: isFirst, upstreams.lastFailure) {
        case .wait: if let relay, let other { relay.upstream = Unretained(other) }
        case .beginSecond: goesOn = beginSecond(race, pool, relay, upstreams)
        case .giveUp:
            upstreams.lastFailure = race.state.reasons.joined(separator: "; ")
            goesOn = false
        }
        if goesOn { upstreams.connections.close(connection) } else { connection.relay = relay }
        return goesOn
    }

    /// All handshakes of an attempt are done: it is the connection, and the other attempt ends.
    static func won(_ connection: Connection, _ pool: EndpointPool, by upstreams: Upstreams) {
        guard let race = connection.race else { return }
        let isFirst = race.attempts.first === connection
        if !isFirst { race.memory.lost(isIPv6: race.isFirstIPv6, at: upstreams.services.loop.now.nanoseconds) }
        if let relay = connection.relay { relay.upstream = Unretained(connection) }
        connection.state.nextAttempt = nil
        leave(connection, pool, by: upstreams)
    }

    /// A connection takes part in its race no more, and the other attempt is closed.
    static func leave(_ connection: Connection, _ pool: EndpointPool, by upstreams: Upstreams) {
        guard let race = connection.race.take() else { return }
        let other = race.other(than: connection)
        if race.state.isDouble { pool.doubled -= 1 }
        race.attempts = (nil, nil)
        guard let other else { return }
        (other.race, other.relay) = (nil, nil)
        upstreams.connections.close(other)
    }
}
