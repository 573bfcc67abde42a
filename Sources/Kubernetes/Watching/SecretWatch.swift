internal import JSON
internal import Octets

/// Keeps up with one Secret, by its name: reads it, watches it, and reads it again when the watch ends. Where it may be
/// read and not watched, it is read again now and then. Like `ListWatch` it has no socket and no clock.
///
/// The least right that it needs is a Role with `get` and `watch` on `secrets` with the name in `resourceNames`.
struct SecretWatch {
    /// How far it is; an answer that does not fit the phase is late, and ignored.
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
    private var failingSince: Int64?    // milliseconds of the steady clock; as the next
    private var openedAt: Int64 = 0
    /// Whether it exists, as far as is known.
    private var isThere = false
    /// Whether the watch has yet to begin with the Secret that was there when it was read.
    private var isFirstLineDue = false
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
        case .answer(let answer): phase == .getting ? refused(answer) : watchRefused(answer)
        case .secretAnswer(let text): if phase == .getting { got(text) }
        case .opened: openedAt = now.steady
        case .secretLine(let line): received(line: line)
        case .line, .listAgain: break    // of requests that are not confidential, and of lists
        case .ended: ended()
        case .failed(let failure): failed(failure)
        case .timer: if phase == .waiting { get() }
        case .unreachable(let reason): isUnreachable(reason)
        }
        defer { actions = [] }    // they may have the Secret
        return actions
    }

    // MARK: requests

    private mutating func get() {
        phase = .getting
        let path = ResourcePath.objects(kind, "v1", namespace: name.namespace, name: name.name)
        actions.append(.get(path: path, accept: AcceptedForm.json, isSecret: true))
    }

    /// Without a version the server sends the Secret as it is, and then its changes: what happened since the `get` is
    /// not lost. If it was removed meanwhile, nothing comes: then it is read again.
    private mutating func watch() {
        phase = .watching
        isFirstLineDue = isThere
        let seconds = timing.watchSeconds.lowerBound + random.below(timing.watchSeconds.count)
        let query = [
            ("watch", "1"), ("fieldSelector", "metadata.name=\(name.name)"), ("timeoutSeconds", "\(seconds)"),
        ]
        let path = ResourcePath.objects(kind, "v1", namespace: name.namespace, query: query)
        let silence = isFirstLineDue ? timing.firstLine : watchSilenceMilliseconds
        actions.append(.watch(path: path, accept: AcceptedForm.json, silence: silence, isSecret: true))
    }

    private var watchSilenceMilliseconds: Int { timing.watchSeconds.upperBound * 1000 + timing.watchGrace }

    private mutating func wait(_ milliseconds: Int) {
        phase = .waiting
        actions.append(.wait(milliseconds: milliseconds))
    }

    // MARK: answers

    private mutating func got(_ text: SecretOctets) {
        guard let found = text.withOctets({ try? MetadataSkim(octets: $0) }), found?.name == name.name else {
            return retry("the server's answer for Secret \(name.namespace)/\(name.name) cannot be read")
        }
        isThere = true
        actions.append(.deliver(.secretRead(name, text)))
        recovered()
        report(.current)
        watch()
    }

    private mutating func refused(_ answer: APIAnswer) {
        switch answer.status {
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

    private mutating func received(line: SecretOctets) {
        guard phase == .watching else { return }
        guard let event = line.withOctets({ SecretLine($0) }) ?? nil else {
            return giveUpWatch("a line of its watch cannot be read")
        }
        if let refusal = event.refusal { return giveUpWatch(refusal) }
        // A server that ignores the selector must not hand over other Secrets.
        guard let object = event.object, event.name == name.name else { return }
        recovered()
        if isFirstLineDue {
            isFirstLineDue = false
            actions.append(.allow(silence: watchSilenceMilliseconds))
        }
        if event.type == "DELETED" { return removed() }
        isThere = true
        actions.append(.deliver(.secretRead(name, object)))
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
        if phase == .watching, isFirstLineDue, failure == .timedOut {
            actions.append(.reached(.secretWatch))
            return get()
        }
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
        if retryAfter ?? 0 > timing.mostRetryAfter / 1000 { actions.append(.reached(.retryAfter)) }
        wait(max(own, min(max(retryAfter ?? 0, 0), timing.mostRetryAfter / 1000) * 1000))
    }

    private mutating func report(_ state: ResourceState) {
        switch (self.state, state) {
        case (.unreachable(_, let old)?, .unreachable(_, let new)) where old == new: return
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

private struct SecretLine {
    var type = ""
    var name = ""
    /// The Secret; nil where the line has none.
    var object: SecretOctets?
    /// Why the watch ends.
    var refusal: String?

    /// - Returns: nil if the line is no event.
    init?(_ octets: Octets) {
        guard let skim = try? WatchSkim(octets: octets) else { return nil }
        type = skim.type
        let own = octets.slice(skim.object.lowerBound, skim.object.upperBound)
        if type == "ERROR" {
            let status = try? StatusSkim(own.array)
            refusal = AnswerWords.reason(status?.code ?? 500, status?.message ?? "")
            return
        }
        guard type != "BOOKMARK", let metadata = try? MetadataSkim(octets: own) else { return }
        name = metadata.name
        object = SecretOctets(copying: own)
    }
}
