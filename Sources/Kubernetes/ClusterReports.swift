internal import Octets

/// What the client says to people: once for each change, and for an outage not more often than every minute.
struct ClusterReports {
    private let server: String
    private let absentSeconds: Int
    private let log: @Sendable (ClusterMessage) -> Void
    /// Since when the server cannot be reached.
    private var outageSince: Moment?
    private var outageSaidAt: Int64 = 0    // milliseconds of the steady clock
    private var states: [Subject: ResourceState] = [:]

    private enum Subject: Hashable {
        case kind(ResourceKind, namespace: String?)
        case secret(SecretName)

        var name: String {
            switch self {
            case .kind(let kind, nil): kind.name
            case .kind(let kind, let namespace?): "\(kind.name) in namespace \(namespace)"
            case .secret(let name): "Secret \(name.namespace)/\(name.name)"
            }
        }
    }

    /// Whether something was read of the cluster.
    private var hasObjects = false

    /// Milliseconds until the same reason of an outage is said again, and until another one is.
    private static let outagePauseMilliseconds: Int64 = 60_000
    private static let reasonPauseMilliseconds: Int64 = 10_000
    private var saidReason = ""

    init(_ plan: ClusterWatch.Plan, log: @escaping @Sendable (ClusterMessage) -> Void) {
        server = plan.access.authority
        absentSeconds = plan.timing.absent / 1000
        self.log = log
    }

    private func say(_ text: String, isWarning: Bool = true) { log(ClusterMessage(isWarning: isWarning, text: text)) }

    /// Says something that concerns the connection as a whole.
    func note(_ text: String) { say(text) }

    /// A try to connect has failed.
    mutating func outage(_ reason: String, at now: Moment) {
        let isFirst = outageSince == nil
        if isFirst { outageSince = now }
        let pause = reason == saidReason ? Self.outagePauseMilliseconds : Self.reasonPauseMilliseconds
        guard isFirst || now.steady >= outageSaidAt + pause else { return }
        (outageSaidAt, saidReason) = (now.steady, reason)
        let since = Self.time(outageSince?.wall ?? now.wall)
        let effect =
            hasObjects
            ? "Everything goes on being served with the objects that were read before"
            : "Nothing of it was read yet, and nothing of it can be served"
        say(
            "The Kubernetes API server \(server) cannot be reached since \(since): \(reason). \(effect); the "
                + "connection is tried again.")
    }

    /// Takes note of what a watch reports, and says what the operator should know of it.
    mutating func note(_ event: ResourceEvent, at now: Moment) {
        switch event {
        case .state(let kind, let namespace, let state): changed(.kind(kind, namespace: namespace), state, now)
        case .secret(let name, let state): changed(.secret(name), state, now)
        case .page, .changed, .removed, .secretRead: hasObjects = true
        }
    }

    /// The Secret is not watched any more.
    mutating func forget(_ secret: SecretName) { states[.secret(secret)] = nil }

    private mutating func changed(_ subject: Subject, _ state: ResourceState, _ now: Moment) {
        let before = states.updateValue(state, forKey: subject)
        switch state {
        case .current:
            recovered(now)
            if case .unreachable? = before, outageSince == nil { return }
            if before != nil, before != .current { say("\(subject.name): current again.", isWarning: false) }
        case .absent:
            guard case .kind = subject else { return say("\(subject.name) does not exist; it is waited for.") }
            say(
                "The cluster does not offer \(subject.name); it is looked for again every \(absentSeconds) s.",
                isWarning: false)
        case .refused(let permission):
            say(
                "The permission \(permission) is missing. What was read before stays in effect; it is tried again at "
                    + "least every minute.")
        case .unreachable(let since, let reason):
            guard outageSince == nil else { return }    // the outage was reported for all
            if case .unreachable? = before { return }
            say(
                "\(subject.name): \(reason), since \(Self.time(since)). What was read before stays in effect; it is "
                    + "tried again.")
        }
    }

    /// Something is current: the server is there.
    private mutating func recovered(_ now: Moment) {
        guard let since = outageSince else { return }
        outageSince = nil
        let seconds = max(0, now.steady - since.steady) / 1000
        say("The Kubernetes API server \(server) answers again, after \(seconds) s.", isWarning: false)
    }

    /// For example 2026-11-27T00:20:03Z.
    private static func time(_ milliseconds: Int64) -> String {
        let text = OctetBuffer(capacity: 64)
        TimeFormat.write("%FT%TZ", seconds: Int(clamping: milliseconds / 1000), nanoseconds: 0, to: text)
        return text.octets.string
    }
}
