internal import Balancing
internal import HTTP
internal import Octets
package import Reactor
internal import Synchronization

/// Checks endpoints on a thread of its own, for the whole process: an endpoint is checked once, however many workers
/// and clusters have it. The thread begins with the first order; a process without checks has none. Any thread may ask.
///
/// Thread: any. Freed by: nobody once its own thread runs, which lasts as long as the process.
package final class HealthChecker: Sendable {
    private let orders: Mailbox<[HealthOrder]>
    private let tell: @Sendable ([HealthNews]) -> Void
    private let waited: @Sendable () -> Void
    private let isRunning = Atomic<Bool>(false)

    /// Checks at the same time, of all endpoints. Each has a descriptor and, in HTTP, a session.
    package static let mostAtOnce = 128

    /// - Parameters:
    ///   - waited: called on the checker's thread when checks that are due wait for others.
    ///   - tell: gets what is new, on the checker's thread.
    package init(
        waited: @escaping @Sendable () -> Void, tell: @escaping @Sendable ([HealthNews]) -> Void
    ) throws(SystemError) {
        orders = try Mailbox<[HealthOrder]>()
        self.tell = tell
        self.waited = waited
    }

    /// Takes orders, which are carried out one after the other. Where the thread has no descriptor to begin with, it
    /// begins with a later call, which may be without orders.
    /// - Throws: that there can be no thread; the orders are kept for the next call.
    package func take(_ orders: [HealthOrder]) throws(SystemError) {
        self.orders.post(orders)
        guard !isRunning.exchange(true, ordering: .relaxed) else { return }
        do throws(SystemError) {
            try Thread.start("health-checks", isLasting: true) { [self] in run() }
        } catch {
            isRunning.store(false, ordering: .relaxed)
            throw error
        }
    }

    /// Whether orders are carried out, or none were given.
    package var isWorking: Bool { isRunning.load(ordering: .relaxed) }

    private func run() {
        do throws(SystemError) {
            let poller = try Poller()
            try poller.watchReadable(orders.descriptor, token: 0)
            HealthLoop(orders, poller, waited, tell).run()
        } catch {
            isRunning.store(false, ordering: .relaxed)
        }
    }
}

/// What the checker's thread does: waits in epoll, begins the checks that are due, and reports what they found.
///
/// Thread: the checker's. Freed by: the end of that thread.
private final class HealthLoop {
    private let orders: Mailbox<[HealthOrder]>
    private let tell: @Sendable ([HealthNews]) -> Void
    private let waited: @Sendable () -> Void
    private let poller: Poller
    private let pools = MessagePools()
    private let scratch = OctetBuffer(capacity: 16_384)
    private var schedule: HealthSchedule<ObjectIdentifier>
    private var known: [ObjectIdentifier: Checked] = [:]
    private var probes: [UInt64: (key: ObjectIdentifier, probe: HealthProbe)] = [:]
    private var tokens: [ObjectIdentifier: UInt64] = [:]    // of the probe that is under way
    private var nextToken: UInt64 = 1
    private var news: [HealthNews] = []

    /// What is checked, and what its last check has found of the ways to it.
    private struct Checked {
        let endpoint: EndpointState
        let target: HealthTarget
        /// The address to which there was no connection, of an endpoint that has two; nil: there was one.
        var lost: EndpointAddress?
        /// Whether the check that is under way has tried the first of two addresses in vain.
        var isSecondTry = false
    }

    init(
        _ orders: Mailbox<[HealthOrder]>, _ poller: Poller, _ waited: @escaping @Sendable () -> Void,
        _ tell: @escaping @Sendable ([HealthNews]) -> Void
    ) {
        self.orders = orders
        self.waited = waited
        self.tell = tell
        self.poller = poller
        var random = SystemRandomNumberGenerator()
        schedule = HealthSchedule(most: HealthChecker.mostAtOnce, seed: random.next())
    }

    func run() {
        while true { turn() }
    }

    private func turn() {
        let count = poller.wait(milliseconds: waitMilliseconds)
        pools.second = UInt32(truncatingIfNeeded: MonotonicTime.now().nanoseconds / 1_000_000_000)
        // What has come counts before what has taken too long.
        for index in 0..<count {
            let event = poller[index]
            if event.token == 0 { takeOrders() } else { goOn(event) }
        }
        perform(schedule.advance(to: MonotonicTime.now().nanoseconds))
        if schedule.takeWaits() > 0 { waited() }
        guard !news.isEmpty else { return }
        tell(news)
        news = []
    }

    /// Until the next check is due; -1 if none is.
    private var waitMilliseconds: Int32 {
        guard let next = schedule.nextTime else { return -1 }
        return Int32(clamping: (MonotonicTime(nanoseconds: next).nanoseconds(since: .now()) + 999_999) / 1_000_000)
    }

    private func takeOrders() {
        let now = MonotonicTime.now().nanoseconds
        for order in orders.takeAll().joined() {
            switch order {
            case .check(let endpoint, let target):
                let key = ObjectIdentifier(endpoint)
                let before = known.updateValue(Checked(endpoint: endpoint, target: target), forKey: key)
                let hasOther = before.map { $0.target != target } ?? false
                schedule.check(key, target.policy, at: now)
                if hasOther, tokens[key] != nil { end(key, .skipped) }    // it checks what nobody asks for any more
            case .forget(let endpoint):
                drop(ObjectIdentifier(endpoint))
                schedule.forget(ObjectIdentifier(endpoint))
                known[ObjectIdentifier(endpoint)] = nil
            }
        }
    }

    private func goOn(_ event: Readiness) {
        guard let (key, probe) = probes[event.token], let verdict = probe.goOn(event, scratch: scratch) else { return }
        end(key, verdict)
    }

    private func end(_ key: ObjectIdentifier, _ verdict: HealthVerdict) {
        let (probe, now) = (tokens[key].flatMap { probes[$0]?.probe }, MonotonicTime.now().nanoseconds)
        drop(key)
        switch verdict {
        case .passed: passed(key, by: probe?.address, at: now)
        case .refused, .skipped: break
        case .failed: if let probe, !probe.isConnected, tryOther(key, than: probe.address) { return }
        }
        known[key]?.target.counts.note(verdict)
        perform(schedule.ended(key, verdict, at: now))
    }

    private func passed(_ key: ObjectIdentifier, by address: EndpointAddress?, at now: UInt64) {
        guard let checked = known[key] else { return }
        checked.endpoint.passedAt = now
        guard let lost = checked.lost, let address else { return }
        checked.target.passed(by: address, after: lost, at: now)
        known[key]?.lost = nil
    }

    /// There was no connection to an address: the same check goes to the other one, once. One endpoint that is down
    /// says nothing of the family, which all endpoints of the name share, so only its own next check knows of it.
    /// - Returns: whether the check goes on.
    private func tryOther(_ key: ObjectIdentifier, than address: EndpointAddress) -> Bool {
        guard let checked = known[key], let other = checked.target.other(than: address) else { return false }
        known[key]?.lost = address
        guard !checked.isSecondTry else { return false }
        known[key]?.isSecondTry = true
        start(key, checked.target, at: other)
        return true
    }

    private func perform(_ actions: [HealthSchedule<ObjectIdentifier>.Action]) {
        for action in actions {
            switch action {
            case .begin(let key): begin(key)
            case .giveUp(let key):
                if let probe = tokens[key].flatMap({ probes[$0]?.probe }), !probe.isConnected {
                    known[key]?.lost = probe.address
                }
                drop(key)
                known[key]?.target.counts.note(.failed(""))
            case .report(let key, let history):
                if let known = known[key] { news.append(HealthNews(endpoint: known.endpoint, history: history)) }
            }
        }
    }

    private func begin(_ key: ObjectIdentifier) {
        guard let checked = known[key] else { return }
        known[key]?.isSecondTry = false
        let now = MonotonicTime.now().nanoseconds
        start(key, checked.target, at: checked.target.next(after: checked.lost, at: now))
    }

    private func start(_ key: ObjectIdentifier, _ target: HealthTarget, at address: EndpointAddress) {
        guard let peer = SocketAddress(address) else { return end(key, .failed("the address is not valid")) }
        do throws(SystemError) {
            let probe = try HealthProbe(target, to: address, peer, pools: pools)
            try poller.watch(probe.descriptor, token: nextToken)
            probes[nextToken] = (key, probe)
            tokens[key] = nextToken
            nextToken += 1
        } catch {
            if !error.isOwn, tryOther(key, than: address) { return }
            end(key, error.isOwn ? .skipped : .failed(HealthProbe.words(error)))
        }
    }

    /// Ends a check, whatever it was about to find.
    private func drop(_ key: ObjectIdentifier) {
        guard let token = tokens.removeValue(forKey: key) else { return }
        probes[token] = nil
    }
}
