internal import JSON

/// Keeps up with the objects of one kind, in one namespace or in all: finds the version that the server offers, lists,
/// watches, and begins anew where that is needed. It has no socket and no clock: what happens goes in, what is to be
/// done comes out. Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes.
struct ListWatch {
    /// What is to be done when a wait is over.
    enum Step: Equatable { case find, list, watch, verify }

    /// How far it is; an input that does not fit the phase is late, and ignored.
    enum Phase: Equatable {
        case idle
        case waiting(Step)
        /// Asks for the versions of the group, then for the kinds of one version after the other.
        case findingGroup, findingVersion
        /// Pages are listed; the next one begins at a token.
        case listing(continuation: String)
        /// A streamed list has come in part.
        case streaming
        /// Asks whether the server's version is still at least that of the last event.
        case verifying
        case watching
    }

    let kind: ResourceKind
    let namespace: String?
    let timing: WatchTiming
    var random: Jitter
    var now = Moment(wall: 0, steady: 0)
    var actions: [WatchAction] = []
    var phase = Phase.idle

    // The version of the API
    var version: String?
    /// Versions that are to be tried.
    var candidates: [String] = []
    /// Whether the server does not tell what it offers, so that versions are tried.
    var isGuessing = false
    /// Whether the version was found and nothing was listed with it yet.
    var isVersionFresh = false

    // The objects
    var resourceVersion = ""
    /// Whether a list was ever complete.
    var hasListed = false
    var isFirstPage = true
    /// Objects of the list so far, and its last pages without any.
    var objectsListed = 0
    var emptyPages = 0
    /// Objects of a streamed list that were not delivered yet.
    var streamed: [[UInt8]] = []
    var streamedOctets = 0
    /// False once the server has shown that it streams no lists.
    var streamsLists = true
    var pageLimit = Self.mostPage
    /// How many lists in a row were too old before they were complete.
    var expiredLists = 0
    /// How often in a row the kind was not there, though it was once.
    var absences = 0

    // The watch in hand
    var openedAt: Int64 = 0    // milliseconds of the steady clock
    var hasLine = false
    var refusals = 0    // of `verify` by a server that does not say that the version is too large

    // Failures
    var backOff: BackOff
    var refusedBackOff: BackOff
    /// Of lists that are made because a watch could not begin where the last one ended.
    var relistBackOff: BackOff
    var failingSince: Int64?    // milliseconds of the steady clock
    private(set) var state: ResourceState?

    /// Objects of a page, and octets after which a page of a streamed list is delivered.
    static let mostPage = 500
    /// The octets of that page: 8 MiB.
    static let mostPageOctets = 8 << 20
    /// Objects of a list after which it counts as one that never ends. The largest clusters have half as many Pods.
    static let mostObjects = 300_000
    /// Pages in a row without an object, after which the list counts as one that never ends.
    static let mostEmptyPages = 16

    init(_ kind: ResourceKind, namespace: String?, timing: WatchTiming, seed: UInt64) {
        self.kind = kind
        self.namespace = namespace
        self.timing = timing
        random = Jitter(seed: seed)
        backOff = BackOff(first: timing.firstBackOff, most: timing.mostBackOff)
        refusedBackOff = BackOff(first: timing.firstRefused, most: timing.mostRefused)
        relistBackOff = BackOff(first: timing.firstBackOff, most: timing.mostBackOff)
    }

    /// Says what follows from what has happened.
    mutating func handle(_ input: WatchInput, at now: Moment) -> [WatchAction] {
        self.now = now
        actions = []
        switch input {
        case .begin: find()
        case .answer(let answer): received(answer)
        case .opened: opened()
        case .line(let line): received(line: line)
        case .secretAnswer, .secretLine: break    // of requests that are confidential
        case .ended: ended()
        case .failed(let failure): failed(failure)
        case .timer: if case .waiting(let step) = phase { take(step) }
        case .unreachable(let reason): becameUnreachable(reason)
        case .listAgain: listAgain()
        }
        return actions
    }

    private mutating func take(_ step: Step) {
        switch step {
        case .find: find()
        case .list: list()
        case .watch: watch()
        case .verify: verify()
        }
    }

    // MARK: states

    /// Reports a state that is another one than before.
    mutating func report(_ state: ResourceState) {
        switch (self.state, state) {
        case (.unreachable(_, let old)?, .unreachable(_, let new)) where old == new: return
        case (let old?, let new) where old == new: return
        default: break
        }
        self.state = state
        actions.append(.deliver(.state(kind, namespace: namespace, state)))
    }

    /// Works again: waits are short again.
    mutating func recovered() {
        backOff.reset()
        failingSince = nil
    }

    private mutating func becameUnreachable(_ reason: String) {
        if failingSince == nil { failingSince = now.wall }
        report(.unreachable(since: failingSince ?? now.wall, reason: reason))
    }

    /// Tries again after a wait. The first failure in a row is not worth a report when the objects are known.
    mutating func retry(_ step: Step, _ reason: String, retryAfter: Int? = nil) {
        if failingSince == nil { failingSince = now.wall }
        let isNews = backOff.failures > 0 || !hasListed
        let own = backOff.next(&random)
        if retryAfter ?? 0 > timing.mostRetryAfter / 1000 { actions.append(.reached(.retryAfter)) }
        let asked = min(max(retryAfter ?? 0, 0), timing.mostRetryAfter / 1000) * 1000
        if isNews { report(.unreachable(since: failingSince ?? now.wall, reason: reason)) }
        wait(asked > own ? asked + random.below(own + 1) : own, then: step)
    }

    /// Waits, and goes on with a step.
    mutating func wait(_ milliseconds: Int, then step: Step) {
        phase = .waiting(step)
        actions.append(.wait(milliseconds: milliseconds))
    }

    /// Waits between half and the whole of a time.
    mutating func rest(_ milliseconds: Int, then step: Step) {
        wait(milliseconds / 2 + random.below(milliseconds / 2 + 1), then: step)
    }

    /// Reports the permission that is missing, and tries again later.
    mutating func refused(_ verb: String, then step: Step) {
        report(.refused(Permission(verb: verb, group: kind.group, resource: kind.plural, namespace: namespace)))
        wait(refusedBackOff.next(&random), then: step)
    }

    /// What any request may be answered with.
    mutating func retry(_ step: Step, for answer: APIAnswer, verb: String) {
        switch answer.status {
        case 401:
            actions.append(.renewCredentials)
            retry(step, AnswerWords.reason(answer))
        case 403: refused(verb, then: step)
        default:
            let status = try? StatusSkim(answer.body)
            retry(step, AnswerWords.reason(answer), retryAfter: answer.retryAfter ?? status?.retryAfterSeconds)
        }
    }

    // MARK: the version of the API

    /// Finds the version to use. The core group has no other, and needs no look-up.
    mutating func find() {
        guard !kind.group.isEmpty else {
            version = kind.versions.first
            return list()
        }
        guard version == nil else { return list() }
        isGuessing = false
        phase = .findingGroup
        actions.append(.get(path: ResourcePath.group(kind.group), accept: AcceptedForm.json))
    }

    /// Goes on with the next version of the kind; if there is none, the kind is absent.
    mutating func tryNextVersion() {
        guard !candidates.isEmpty else { return isAbsent() }
        let next = candidates.removeFirst()
        version = next
        isVersionFresh = true
        if isGuessing { return list() }
        phase = .findingVersion
        actions.append(.get(path: ResourcePath.version(kind, next), accept: AcceptedForm.json))
    }

    /// The server does not offer the kind. When it did, that is believed the second time only: a server that has just
    /// started may not know its CustomResourceDefinitions yet.
    mutating func isAbsent() {
        version = nil
        candidates = []
        absences += 1
        if !hasListed || absences > 1 {
            if hasListed {
                deliver([], isFirst: true, isLast: true)
                hasListed = false
            }
            report(.absent)
        } else {
            if failingSince == nil { failingSince = now.wall }
            let reason = "the server does not offer \(kind.name) at the moment"
            report(.unreachable(since: failingSince ?? now.wall, reason: reason))
        }
        rest(timing.absent, then: .find)
    }

    // MARK: requests

    private mutating func path(_ query: [(String, String)]) -> String {
        ResourcePath.objects(kind, version ?? "", namespace: namespace, query: query)
    }

    /// Begins a complete list.
    mutating func list() {
        isFirstPage = true
        (objectsListed, emptyPages) = (0, 0)
        streamed = []
        streamedOctets = 0
        streamsLists ? stream() : listPage("")
    }

    /// Lists anew because the last version is of no use; at once the first time only.
    mutating func relist() {
        let isFirst = relistBackOff.failures == 0
        let delay = relistBackOff.next(&random)
        isFirst ? list() : wait(delay, then: .list)
    }

    /// Lists anew though the watch goes on, unless a list is under way or about to come.
    private mutating func listAgain() {
        switch phase {
        case .watching, .verifying:
            actions.append(.abandon)
            list()
        case .waiting(.watch), .waiting(.verify): phase = .waiting(.list)
        case .idle, .waiting(.find), .waiting(.list), .findingGroup, .findingVersion, .listing, .streaming: break
        }
    }

    /// Lists in pages; when these have become too old twice, the whole in one answer.
    mutating func listPage(_ continuation: String) {
        phase = .listing(continuation: continuation)
        var query: [(String, String)] = []
        if expiredLists < 2 { query.append(("limit", "\(pageLimit)")) }
        if !continuation.isEmpty { query.append(("continue", continuation)) }
        actions.append(.get(path: path(query), accept: AcceptedForm.list(kind)))
    }

    private mutating func stream() {
        phase = .streaming
        let query = [
            ("watch", "1"), ("allowWatchBookmarks", "true"), ("sendInitialEvents", "true"),
            ("resourceVersionMatch", "NotOlderThan"), ("timeoutSeconds", "\(drawSeconds())"),
        ]
        actions.append(
            .watch(path: path(query), accept: AcceptedForm.object(kind), silence: timing.streamSilence))
    }

    /// Begins a watch from the version that is known.
    mutating func watch() {
        phase = .watching
        hasLine = false
        let query = [
            ("watch", "1"), ("allowWatchBookmarks", "true"), ("resourceVersion", resourceVersion),
            ("timeoutSeconds", "\(drawSeconds())"),
        ]
        actions.append(.watch(path: path(query), accept: AcceptedForm.object(kind), silence: watchSilenceMilliseconds))
    }

    /// A server that has lost its state stays silent on a watch from a version that it has not reached yet; to this
    /// request it answers 504.
    mutating func verify() {
        phase = .verifying
        let query = [
            ("limit", "1"), ("resourceVersion", resourceVersion), ("resourceVersionMatch", "NotOlderThan"),
        ]
        actions.append(.get(path: path(query), accept: AcceptedForm.list(kind)))
    }

    private mutating func drawSeconds() -> Int {
        timing.watchSeconds.lowerBound + random.below(timing.watchSeconds.count)
    }

    var watchSilenceMilliseconds: Int { timing.watchSeconds.upperBound * 1000 + timing.watchGrace }

    /// Hands a page of a list over.
    mutating func deliver(_ objects: [[UInt8]], isFirst: Bool, isLast: Bool) {
        actions.append(.deliver(.page(kind, namespace: namespace, objects, isFirst: isFirst, isLast: isLast)))
    }
}

/// What an answer says, for people.
enum AnswerWords {
    /// For example: the server answers 500 (etcdserver: request timed out).
    static func reason(_ answer: APIAnswer) -> String {
        let message = (try? StatusSkim(answer.body))?.message ?? ""
        return reason(answer.status, message)
    }

    /// The words for an answer that is an error.
    static func reason(_ status: Int, _ message: String) -> String {
        let words = printable(message)
        return "the server answers \(status)" + (words.isEmpty ? "" : " (\(words))")
    }

    /// Of a server's text.
    static let mostScalars = 300

    /// A server's text without what a terminal or a log would act on, and not too long.
    static func printable(_ text: String, most: Int = mostScalars) -> String {
        String(text.unicodeScalars.prefix(most).map { $0.value >= 0x20 && $0.value < 0x7f ? Character($0) : "?" })
    }
}
