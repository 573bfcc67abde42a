internal import JSON

/// Keeps up with one Secret, by its name: reads it, watches it, and reads it again when the watch ends. Where it may be
/// read and not watched, it is read again now and then. Like `ListWatch` it has no socket and no clock.
///
/// The least right that it needs is a Role with `get` and `watch` on `secrets` with the name in `resourceNames`.
struct SecretWatch {
    enum Phase: Equatable { case idle, waiting, getting, watching }

    let name: SecretName
    let timing: WatchTiming
    private let kind = ResourceKind.secrets
    private var random: Jitter
    private var now = Moment(wall: 0, steady: 0)
    private var actions: [WatchAction] = []
    private(set) var phase = Phase.idle
    private(set) var state: ResourceState?
    private var backOff: BackOff
    private var refusedBackOff: BackOff
    private var failingSince: Int64?
    private var openedAt: Int64 = 0
    /// Whether it exists, as far as is known.
    private var isThere = false
    /// Whether the missing right to watch was reported.
    private var isPollNoted = false

    init(_ name: SecretName, timing: WatchTiming, seed: UInt64) {
        self.name = name
        self.timing = timing
        random = Jitter(seed: seed)
        backOff = BackOff(first: timing.firstBackOff, most: timing.mostBackOff)
        refusedBackOff = BackOff(first: timing.firstRefused, most: timing.mostRefused)
    }

    /// Says what follows from what has happened.
    mutating func handle(_ input: WatchInput, at now: Moment) -> [WatchAction] {
        self.now = now
        actions = []
        switch input {
        case .begin: get()
        case .answer(let answer): phase == .getting ? got(answer) : watchRefused(answer)
        case .opened: openedAt = now.steady
        case .line(let line): received(line: line)
        case .ended: ended()
        case .failed(let failure): failed(failure)
        case .timer: if phase == .waiting { get() }
        case .unreachable(let reason): isUnreachable(reason)
        }
        return actions
    }

    // MARK: requests

    private mutating func get() {
        phase = .getting
        let path = ResourcePath.objects(kind, "v1", namespace: name.namespace, name: name.name)
        actions.append(.get(path: path, accept: AcceptedForm.json))
    }

    /// Without a version the server sends the Secret as it is, and then its changes: what happened since the `get` is
    /// not lost, but for a removal, which the next `get` sees.
    private mutating func watch() {
        phase = .watching
        let seconds = timing.watchSeconds.lowerBound + random.below(timing.watchSeconds.count)
        let query = [
            ("watch", "1"), ("fieldSelector", "metadata.name=\(name.name)"), ("timeoutSeconds", "\(seconds)"),
        ]
        let path = ResourcePath.objects(kind, "v1", namespace: name.namespace, query: query)
        let silence = timing.watchSeconds.upperBound * 1000 + timing.watchGrace
        actions.append(.watch(path: path, accept: AcceptedForm.json, silence: silence))
    }

    private mutating func wait(_ milliseconds: Int) {
        phase = .waiting
        actions.append(.wait(milliseconds: milliseconds))
    }

    // MARK: answers

    private mutating func got(_ answer: APIAnswer) {
        switch answer.status {
        case 200:
            guard let found = try? MetadataSkim(answer.body), found.name == name.name else {
                return retry("the server's answer for Secret \(name.namespace)/\(name.name) cannot be read")
            }
            isThere = true
            actions.append(.deliver(.changed(kind, answer.body)))
            recovered()
            report(.current)
            watch()
        case 404:
            removed()
            recovered()
            watch()
        default: refusedOrFailed(answer, verb: "get")
        }
    }

    private mutating func watchRefused(_ answer: APIAnswer) {
        guard phase == .watching else { return }
        guard answer.status == 403 else { return refusedOrFailed(answer, verb: "watch") }
        if !isPollNoted {
            isPollNoted = true
            let needed = permission("watch")
            let seconds = timing.secretPoll / 1000
            actions.append(
                .note("The permission \(needed) is missing: the Secret is read every \(seconds) s instead."))
        }
        wait(timing.secretPoll / 2 + random.below(timing.secretPoll / 2 + 1))
    }

    private mutating func refusedOrFailed(_ answer: APIAnswer, verb: String) {
        switch answer.status {
        case 401:
            actions.append(.renewCredentials)
            retry(AnswerWords.reason(answer))
        case 403:
            report(.refused(permission(verb)))
            wait(refusedBackOff.next(&random))
        default: retry(AnswerWords.reason(answer), retryAfter: answer.retryAfter)
        }
    }

    private mutating func received(line: [UInt8]) {
        guard phase == .watching else { return }
        guard let skim = try? WatchSkim(line) else { return giveUpWatch("a line of its watch cannot be read") }
        if skim.type == "ERROR" {
            let status = try? StatusSkim(line, in: skim.object)
            return giveUpWatch(AnswerWords.reason(status?.code ?? 500, status?.message ?? ""))
        }
        // A server that ignores the selector must not hand over other Secrets.
        guard skim.type != "BOOKMARK", let metadata = try? MetadataSkim(line, in: skim.object),
            metadata.name == name.name
        else { return }
        recovered()
        if skim.type == "DELETED" { return removed() }
        isThere = true
        actions.append(.deliver(.changed(kind, Array(line[skim.object]))))
        report(.current)
    }

    private mutating func giveUpWatch(_ reason: String) {
        actions.append(.abandon)
        retry(reason)
    }

    private mutating func removed() {
        if isThere { actions.append(.deliver(.removed(kind, namespace: name.namespace, name: name.name))) }
        isThere = false
        report(.absent)
    }

    private mutating func ended() {
        guard phase == .watching else { return }
        if now.steady - openedAt < Int64(timing.shortWatch) { return retry("the server ends each watch at once") }
        recovered()
        get()
    }

    private mutating func failed(_ failure: CallFailure) {
        guard phase == .getting || phase == .watching else { return }
        if phase == .watching, now.steady - openedAt >= Int64(timing.shortWatch) { recovered() }
        if case .connectionLost = failure, backOff.failures == 0 { return wait(backOff.next(&random) / 4) }
        switch failure {
        case .connectionLost(let reason), .streamEnded(let reason): retry(reason)
        case .timedOut: retry("the server does not answer in time")
        case .tooLarge: retry("the Secret is larger than the client accepts")
        }
    }

    // MARK: states

    private mutating func recovered() {
        backOff.reset()
        refusedBackOff.reset()
        failingSince = nil
    }

    private mutating func isUnreachable(_ reason: String) {
        if failingSince == nil { failingSince = now.wall }
        report(.unreachable(since: failingSince ?? now.wall, reason: reason))
    }

    private mutating func retry(_ reason: String, retryAfter: Int? = nil) {
        if failingSince == nil { failingSince = now.wall }
        if backOff.failures > 0 || state == nil { isUnreachable(reason) }
        let own = backOff.next(&random)
        wait(max(own, min(max(retryAfter ?? 0, 0), timing.mostRetryAfter / 1000) * 1000))
    }

    private mutating func report(_ state: ResourceState) {
        switch (self.state, state) {
        case (.unreachable?, .unreachable): return
        case (let old?, let new) where old == new: return
        default: break
        }
        self.state = state
        actions.append(.deliver(.secret(name, state)))
    }

    private func permission(_ verb: String) -> Permission {
        Permission(verb: verb, group: "", resource: "secrets", namespace: name.namespace, name: name.name)
    }
}
