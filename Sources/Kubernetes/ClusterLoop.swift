internal import Reactor

/// The client's thread: waits in epoll, reads, lets watches act, writes, and hands on what was learned.
///
/// Thread: the Kubernetes client's. Freed by: the end of that thread.
final class ClusterLoop {
    private let plan: ClusterWatch.Plan
    private let mailbox: Mailbox<ClusterMail>
    private let sink: any ResourceSink
    private let poller: Poller
    private let timers = ClientTimers()
    private let client: APIClient
    private var reports: ClusterReports
    private var isStopped = false
    private var added: Set<ResourceKind> = []    // kinds that were not in the plan

    private var watchers: [Int: Watcher] = [:]
    private var nextWatcher = 0
    /// Which watch has made a request.
    private var watcherOfCall: [CallNumber: Int] = [:]
    private var replies: [CallNumber: @Sendable (ClusterWatch.Reply) -> Void] = [:]
    private var secrets: [SecretName: Int] = [:]
    /// Connections that may have more to read.
    private var ready: Set<Int> = []
    /// What was learned in this turn.
    private var learned: [ResourceEvent] = []
    /// Kinds that are listed again in the next turn.
    private var overdue: [ResourceKind] = []
    /// When they were last listed for that reason, in steady milliseconds.
    private var relistedAt: [ResourceKind: Int64] = [:]
    private static let relistPauseMilliseconds: Int64 = 60_000

    init(
        _ plan: ClusterWatch.Plan, mailbox: Mailbox<ClusterMail>, sink: any ResourceSink,
        log: @escaping @Sendable (ClusterMessage) -> Void
    ) throws(SystemError) {
        self.plan = plan
        self.mailbox = mailbox
        self.sink = sink
        reports = ClusterReports(plan, log: log)
        poller = try Poller()
        try poller.watchReadable(mailbox.descriptor, token: 0)
        let access = plan.access
        client = APIClient(
            access: access, timing: plan.timing, timers: timers, poller: poller, seed: Self.seed()
        ) { known in
            let job: @Sendable () -> Void = {
                mailbox.post(.prepared(Result { () throws(AccessError) in try access.prepare(keeping: known) }))
            }
            do throws(SystemError) {
                try Thread.start("k8s-access", job)
            } catch {
                mailbox.post(.prepared(.failure(AccessError("\(error)"))))
            }
        }
    }

    private static func seed() -> UInt64 {
        var random = SystemRandomNumberGenerator()
        return random.next()
    }

    /// Works until it is stopped.
    func run() {
        let standIns = plan.standIns.map(\.kind)
        for kind in plan.kinds where !standIns.contains(kind) {
            for namespace in namespaces(of: kind) { watch(kind, namespace) }
        }
        settle()
        while !isStopped { turn() }
        client.stop()
    }

    private func turn() {
        let count = poller.wait(milliseconds: ready.isEmpty && overdue.isEmpty ? timers.wait : 0)
        let due = timers.turn()
        for index in 0..<count {
            let token = poller[index].token
            if token == 0 { takeMail() } else { ready.insert(Int(truncatingIfNeeded: token)) }
        }
        for purpose in due { fired(purpose) }
        listOverdue()
        for number in ready.sorted() { read(number) }
        settle()
        guard !learned.isEmpty, !isStopped else { return }
        var events: [ResourceEvent] = []
        swap(&events, &learned)
        sink.receive(events)
        overdue = sink.kindsToList()
    }

    private func listOverdue() {
        let now = timers.now.steady
        for kind in overdue where now >= (relistedAt[kind] ?? .min / 2) + Self.relistPauseMilliseconds {
            relistedAt[kind] = now
            for watcher in watchers.values.sorted(by: { $0.number < $1.number }) where watcher.isWatching(kind) {
                handle(.listAgain, watcher)
            }
        }
        overdue = []
    }

    private func read(_ number: Int) {
        for _ in 0..<plan.mostReads {
            guard client.becameReady(number) else {
                ready.remove(number)
                return
            }
            settle()
        }
    }

    private func fired(_ purpose: ClientTimers.Purpose) {
        guard case .watcher(let number) = purpose else { return client.fired(purpose) }
        guard let watcher = watchers[number], timers.hasFired(watcher.timer) else { return }
        watcher.timer = .none
        handle(.timer, watcher)
    }

    private func takeMail() {
        for message in mailbox.takeAll() {
            switch message {
            case .secrets(let names): watchSecrets(names)
            case .watch(let kind): watchToo(kind)
            case .request(let request, let reply): replies[client.start(request)] = reply
            case .prepared(let result): client.prepared(result)
            case .stop: isStopped = true
            }
        }
    }

    // MARK: what has come

    /// Lets watches act on what has come, until nothing more comes of it.
    private func settle() {
        repeat {
            for (call, event) in client.takeEvents() { received(event, of: call) }
            client.pump()
            client.flush()
            if let reason = client.takeOutage() { cannotConnect(reason) }
            for limit in client.takeLimits() { sink.reached(limit) }
        } while client.hasEvents
    }

    private func received(_ event: CallEvent, of call: CallNumber) {
        if let reply = replies.removeValue(forKey: call) {
            if case .answer(let answer) = event, answer.status == 401 { client.renewCredentials() }
            return reply(Self.reply(event))
        }
        // A watch that has given the request up wants nothing more of it.
        guard let number = watcherOfCall[call], let watcher = watchers[number] else { return }
        switch event {
        case .opened: handle(.opened, watcher)
        case .line(let line): handle(.line(line), watcher)
        case .secretLine(let line): handle(.secretLine(line), watcher)
        case .secretAnswer(let text): handleLast(.secretAnswer(text), watcher, call)
        case .ended: handleLast(.ended, watcher, call)
        case .answer(let answer): handleLast(.answer(answer), watcher, call)
        case .failed(let failure): handleLast(.failed(failure), watcher, call)
        }
    }

    private static func reply(_ event: CallEvent) -> ClusterWatch.Reply {
        switch event {
        case .answer(let answer):
            return .answer(status: answer.status, retryAfter: answer.retryAfter, body: answer.body)
        case .failed(.connectionLost(let reason)), .failed(.streamEnded(let reason)): return .failed(reason)
        case .failed(.tooLarge): return .failed("the answer is larger than the client accepts")
        case .failed(.timedOut), .opened, .line, .ended, .secretLine, .secretAnswer:
            return .failed("the server did not answer in time")
        }
    }

    private func cannotConnect(_ reason: String) {
        reports.outage(reason, at: timers.now)
        for watcher in watchers.values.sorted(by: { $0.number < $1.number }) {
            handle(.unreachable(reason: reason), watcher)
        }
    }

    // MARK: watches

    private func namespaces(of kind: ResourceKind) -> [String?] {
        kind.isClusterWide || plan.namespaces.isEmpty ? [nil] : plan.namespaces
    }

    private func watch(_ kind: ResourceKind, _ namespace: String?) {
        add(.list(ListWatch(kind, namespace: namespace, timing: plan.timing, seed: Self.seed())))
    }

    private func watchToo(_ kind: ResourceKind) {
        guard !plan.kinds.contains(kind), added.insert(kind).inserted else { return }
        for namespace in namespaces(of: kind) { watch(kind, namespace) }
    }

    @discardableResult private func add(_ machine: Watcher.Machine) -> Int {
        let watcher = Watcher(nextWatcher, machine)
        nextWatcher += 1
        watchers[watcher.number] = watcher
        handle(.begin, watcher)
        return watcher.number
    }

    private func remove(_ number: Int) {
        guard let watcher = watchers.removeValue(forKey: number) else { return }
        drop(watcher)
    }

    private func watchSecrets(_ names: Set<SecretName>) {
        for (name, number) in secrets where !names.contains(name) {
            remove(number)
            secrets[name] = nil
            reports.forget(name)
        }
        for name in names.sorted(by: { ($0.namespace, $0.name) < ($1.namespace, $1.name) }) where secrets[name] == nil {
            secrets[name] = add(.secret(SecretWatch(name, timing: plan.timing, seed: Self.seed())))
        }
    }

    private func handleLast(_ input: WatchInput, _ watcher: Watcher, _ call: CallNumber) {
        watcherOfCall[call] = nil
        watcher.call = nil
        handle(input, watcher)
    }

    private func handle(_ input: WatchInput, _ watcher: Watcher) {
        for action in watcher.handle(input, at: timers.now) { perform(action, watcher) }
    }

    private func perform(_ action: WatchAction, _ watcher: Watcher) {
        switch action {
        case .get(let path, let accept, let isSecret):
            var request = APIRequest(path: path, accept: accept, silence: plan.timing.answer)
            request.isSecret = isSecret
            start(request, watcher)
        case .watch(let path, let accept, let silence, let isSecret):
            var request = APIRequest(path: path, accept: accept, form: .lines, silence: silence)
            request.isSecret = isSecret
            start(request, watcher)
        case .allow(let silence): if let call = watcher.call { client.allow(silence: silence, for: call) }
        case .abandon: drop(watcher)
        case .wait(let milliseconds):
            drop(watcher)
            watcher.timer = timers.arm(after: milliseconds, .watcher(watcher.number))
        case .deliver(let event):
            learned.append(event)
            reports.note(event, at: timers.now)
            standIn(event)
        case .renewCredentials: client.renewCredentials()
        case .note(let text): reports.note(text)
        case .reached(let limit): sink.reached(limit)
        }
    }

    private func start(_ request: APIRequest, _ watcher: Watcher) {
        drop(watcher)
        let call = client.start(request)
        watcher.call = call
        watcherOfCall[call] = watcher.number
    }

    /// Ends what the watch has in hand.
    private func drop(_ watcher: Watcher) {
        timers.cancel(&watcher.timer)
        guard let call = watcher.call else { return }
        watcher.call = nil
        watcherOfCall[call] = nil
        client.cancel(call)
    }

    // MARK: stand-ins

    /// Begins to watch what stands in for a kind that the server does not offer, or ends it.
    private func standIn(_ event: ResourceEvent) {
        guard case .state(let kind, let namespace, let state) = event else { return }
        for standIn in plan.standIns where standIn.missing == kind {
            let running = watchers.values.first { $0.isWatching(standIn.kind, namespace) }
            switch state {
            case .absent: if running == nil { watch(standIn.kind, namespace) }
            case .current:
                guard let running else { continue }
                remove(running.number)
                learned.append(.page(standIn.kind, namespace: namespace, [], isFirst: true, isLast: true))
            case .refused, .unreachable: break
            }
        }
    }
}

/// A watch with what it has in hand: a request, or a wait.
///
/// Thread: the Kubernetes client's. Freed by: `ClusterLoop`.
final class Watcher {
    enum Machine {
        case list(ListWatch)
        case secret(SecretWatch)
        /// While it is at work, so that it is the only owner of its memory.
        case idle
    }

    let number: Int
    private var machine: Machine
    var call: CallNumber?
    var timer = TimerWheel.TimerID.none

    init(_ number: Int, _ machine: Machine) {
        self.number = number
        self.machine = machine
    }

    /// Hands an input to the machine.
    /// - Returns: what is to be done.
    func handle(_ input: WatchInput, at now: Moment) -> [WatchAction] {
        switch machine {
        case .list(var watch):
            machine = .idle
            defer { machine = .list(watch) }
            return watch.handle(input, at: now)
        case .secret(var watch):
            machine = .idle
            defer { machine = .secret(watch) }
            return watch.handle(input, at: now)
        case .idle: return []
        }
    }

    func isWatching(_ kind: ResourceKind) -> Bool {
        if case .list(let watch) = machine { watch.kind == kind } else { false }
    }

    func isWatching(_ kind: ResourceKind, _ namespace: String?) -> Bool {
        if case .list(let watch) = machine { watch.kind == kind && watch.namespace == namespace } else { false }
    }
}
