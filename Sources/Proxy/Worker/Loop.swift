internal import Reactor

/// What epoll can wake. An enum of final classes: calls are direct, nothing is boxed.
enum Watcher {
    case vacant
    case mailbox
    case listener(ListenerSockets)
    case connection(Connection)
}

/// What a timer is for; its token says of which slot or exchange.
enum TimerKind: UInt64 {
    /// The deadline of a connection's phase; by slot.
    case connection
    /// The end of a pause in reading from a connection; by slot.
    case pause
    /// A listener that could not accept tries again; by slot.
    case listener
    /// The deadline of a request; by exchange.
    case deadline
    /// The end of the pause before a request's next try; by exchange.
    case backOff
    /// The longest that a request waits for a connection; by exchange.
    case waiting
    /// The delay of a request is over; by exchange.
    case faultDelay
    /// The time that a mirror may take is over; by copy.
    case mirror
    /// The time of a request's try is over; by exchange.
    case tryTimeout
    /// Refusals without a line of their own are summed up.
    case summary
    /// Exchanges and waiting lists are looked through for what makes no progress.
    case sweep
}

/// The clock, epoll's table of slots and the timers of one worker. A slot is known to epoll by its number and its
/// generation, never by a pointer: an event of an earlier generation is dropped.
///
/// Thread: its worker's. Freed by: `Worker`.
final class Loop {
    /// The time of the newest events; all that happens in a turn happens at this time.
    private(set) var now: MonotonicTime
    /// The time of day at `now`, for the access log and the field `date`.
    private(set) var wallNow = WallTime.now()

    private let clock: () -> MonotonicTime
    private let poller: Poller
    private var watchers: ContiguousArray<Watcher> = []    // by slot; the only strong references to listeners
    private var generations: ContiguousArray<UInt32> = []
    private var freeSlots: [Int] = []
    private var timers: TimerWheel
    private var due: ContiguousArray<UInt64> = []
    private var polling = BusyPolling()

    /// - Parameter clock: tests move it by hand.
    init(clock: @escaping () -> MonotonicTime = MonotonicTime.now) throws(SystemError) {
        self.clock = clock
        now = clock()
        timers = TimerWheel(now: now)
        poller = try Poller()
    }

    // MARK: slots

    /// Gives the watcher a slot.
    func register(_ watcher: Watcher) -> Int {
        if let free = freeSlots.popLast() {
            watchers[free] = watcher
            return free
        }
        watchers.append(watcher)
        generations.append(1)
        return watchers.count - 1
    }

    /// Gives a slot to something that wants to know its number when it is made.
    func register(_ make: (Int) -> Watcher) -> Int {
        let slot = register(.vacant)
        watchers[slot] = make(slot)
        return slot
    }

    /// The slot's number with its generation, as epoll has it.
    func token(of slot: Int) -> UInt64 { UInt64(generations[slot]) << 32 | UInt64(slot) }

    /// The slot that a token names.
    static func slot(_ token: UInt64) -> Int { Int(truncatingIfNeeded: token & 0xffff_ffff) }

    /// What stands behind a token; `.vacant` when the slot was given up since.
    func watcher(_ token: UInt64) -> Watcher {
        let slot = Self.slot(token)
        guard slot < generations.count, self.token(of: slot) == token else { return .vacant }
        return watchers[slot]
    }

    /// Whose events arrive under a slot.
    func watcher(at slot: Int) -> Watcher { slot < watchers.count ? watchers[slot] : .vacant }

    /// Frees a slot; an event that is under way for its last watcher is ignored.
    func vacate(_ slot: Int) {
        watchers[slot] = .vacant
        generations[slot] &+= 1
        freeSlots.append(slot)
    }

    /// Calls `body` with each connection that is not closed.
    func forEachConnection(_ body: (Connection) -> Void) {
        for index in watchers.indices {
            if case .connection(let connection) = watchers[index], !connection.isClosed { body(connection) }
        }
    }

    /// Forgets everything, at the end of the worker.
    func clear() { watchers.removeAll() }

    // MARK: epoll

    /// Wakes for whatever happens to a connection's socket, once for each event (edge-triggered).
    func watch(_ descriptor: CInt, slot: Int) throws(SystemError) {
        try poller.watch(descriptor, token: token(of: slot))
    }

    /// Wakes as long as there is something to read or to accept (level-triggered).
    func watchReadable(_ descriptor: CInt, slot: Int) throws(SystemError) {
        try poller.watchReadable(descriptor, token: token(of: slot))
    }

    /// No event of the descriptor comes any more. It must still be open.
    func forget(_ descriptor: CInt) { poller.forget(descriptor) }

    /// Waits for events; `now` is the time of their arrival.
    /// - Parameters:
    ///   - isHurried: something is left to do at once.
    ///   - mayAsk: so few requests are in flight that asking epoll again and again may spare a sleep.
    /// - Returns: how many events there are.
    func wait(isHurried: Bool, mayAsk: Bool) -> Int {
        defer { wallNow = .now() }
        let wait = isHurried ? 0 : timers.wait(now: now)
        guard wait != 0, mayAsk else { return poll(wait) }
        let start = clock()
        guard polling.isWorthwhile else {
            let count = poll(wait)
            polling.slept(now.nanoseconds(since: start))
            return count
        }
        repeat {
            let count = poll(0)
            if count > 0 {
                polling.hit()
                return count
            }
        } while now.nanoseconds(since: start) < BusyPolling.window
        polling.miss()
        return poll(wait)
    }

    /// How long something takes. What a turn does happens at its time, `now`; this is for what it costs.
    func nanoseconds<Result>(of work: () -> Result) -> (Result, UInt64) {
        let start = clock()
        let result = work()
        return (result, clock().nanoseconds(since: start))
    }

    private func poll(_ milliseconds: Int32) -> Int {
        defer { now = clock() }
        return poller.wait(milliseconds: milliseconds)
    }

    /// One of the events that the last wait returned.
    func event(at index: Int) -> Readiness { poller[index] }

    // MARK: timers

    /// Sets a timer; `index` says whose it is, among those of its kind.
    func arm(at time: MonotonicTime, _ kind: TimerKind, _ index: Int = 0) -> TimerWheel.TimerID {
        timers.arm(at: time, token: kind.rawValue << 32 | UInt64(index))
    }

    /// Cancels a timer; nothing happens if it is not set.
    func cancel(_ timer: inout TimerWheel.TimerID) { timers.cancel(&timer) }

    /// Whether a timer's time has come and it was not armed anew since.
    func hasFired(_ timer: TimerWheel.TimerID) -> Bool { timers.hasFired(timer) }

    /// Calls `fire` with each timer that is due. The owner asks `hasFired` before it acts: what another timer of the
    /// turn did may have disarmed it, or have given its place to somebody else.
    func expireTimers(_ fire: (TimerKind, Int) -> Void) {
        timers.expire(now: now, into: &due)
        for index in due.indices {
            guard let kind = TimerKind(rawValue: due[index] >> 32) else { continue }
            fire(kind, Int(truncatingIfNeeded: due[index] & 0xffff_ffff))
        }
        due.removeAll(keepingCapacity: true)
    }
}

/// What may end an exchange or its newest try by the clock.
struct ExchangeTimers {
    var deadline = TimerWheel.TimerID.none
    var backOff = TimerWheel.TimerID.none
    var waiting = TimerWheel.TimerID.none
    var tryTimeout = TimerWheel.TimerID.none
    var faultDelay = TimerWheel.TimerID.none

    /// Calls the time limit of one try off.
    /// - Parameter loop: asked for only if that timer is armed, which few requests have.
    @inline(__always)
    mutating func cancelTry(in loop: @autoclosure () -> Loop) {
        if tryTimeout.isArmed { loop().cancel(&tryTimeout) }
    }

    /// - Parameter loop: asked for only if a timer is armed, which few requests have.
    @inline(__always)
    mutating func cancelAll(in loop: @autoclosure () -> Loop) {
        if deadline.isArmed { loop().cancel(&deadline) }
        if backOff.isArmed { loop().cancel(&backOff) }
        if waiting.isArmed { loop().cancel(&waiting) }
        if tryTimeout.isArmed { loop().cancel(&tryTimeout) }
        if faultDelay.isArmed { loop().cancel(&faultDelay) }
    }
}
