internal import JSON

/// Which Lease replicas compete for.
package struct LeaseName: Sendable, Hashable {
    package let namespace: String
    package let name: String

    package init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }
}

/// The times of an election, in milliseconds.
package struct LeaseTiming: Sendable {
    /// How long a Lease that is not renewed counts. It is written into the Lease in seconds.
    package var duration = 10_000
    /// How often the leader renews it.
    package var renew = 3_000
    /// How long the leader leads after the last renewal. It is less than `duration`, so that it has stopped before
    /// another one begins.
    package var deadline = 8_000
    /// How often the others look, and how long a failed request is waited after.
    package var retry = 2_000
    /// How long a request may take, the wait for a connection included.
    package var answer = 3_000
    /// How long is waited after an answer that a permission is missing.
    package var refused = 30_000

    /// The times of docs/limits.md.
    package init() {}
}

/// Elects one of several replicas by a Lease: the replica that holds it leads, and renews it; another one takes it when
/// it was not renewed for its duration. It has no socket and no clock.
///
///     reading → following → reading …      somebody else holds it
///             → writing   → leading → writing …
///
/// Whether a Lease is still renewed is seen by its changes and the own steady clock alone, never by the times in it,
/// so that no two clocks are compared.
/// Source: https://kubernetes.io/docs/concepts/architecture/leases/;
/// https://pkg.go.dev/k8s.io/client-go/tools/leaderelection.
package struct LeaseElection {
    /// What may happen to the election, which answers each with actions.
    package enum Input: Sendable {
        case begin
        /// The wait is over.
        case timer
        /// The answer to the request in hand.
        case answer(status: Int, body: [UInt8])
        case failed(String)
        /// This replica ends: the Lease is given back.
        case resign
    }

    /// What the election wants of its caller, who has the connection to the server and the clock.
    package enum Action: Sendable, Equatable {
        /// A request; at most one is in hand.
        case request(method: String, path: String, body: String)
        case wait(milliseconds: Int)
        /// This replica leads from now on.
        case lead
        /// The identity of another replica, which leads; nil: it is not known which one does.
        case follow(String?)
        case refused(Permission)
        /// No answer of use came: a reason, for people.
        case trouble(String)
    }

    private enum Phase: Equatable { case idle, waiting, reading, creating, updating, resigned }

    /// What the newest Lease says.
    private struct Seen: Equatable {
        var holder = ""
        var renewTime = ""
        var resourceVersion = ""
        var milliseconds = 0
        var transitions = 0
        var acquireTime = ""
    }

    private let name: LeaseName
    private let identity: String
    private let timing: LeaseTiming
    private var phase = Phase.idle
    private var seen = Seen()
    /// When the Lease was last seen to change.
    private var seenAt: Int64 = 0
    /// When the last renewal that succeeded was sent; nil: this replica does not lead.
    private var renewedAt: Int64?
    private var sentAt: Int64 = 0    // milliseconds of the steady clock, as the two above
    /// What was last said of the election.
    private var noted: Noted?
    private var actions: [Action] = []
    private var now = Moment(wall: 0, steady: 0)

    private enum Noted: Equatable { case leading, following(String?) }

    /// - Parameter identity: this replica's, which no other one has.
    package init(_ name: LeaseName, identity: String, timing: LeaseTiming = LeaseTiming()) {
        self.name = name
        self.identity = identity
        self.timing = timing
    }

    /// Whether this replica may still act as the leader.
    package func leads(at now: Moment) -> Bool {
        renewedAt.map { now.steady < $0 + Int64(timing.deadline) } ?? false
    }

    /// Says what follows from what has happened.
    package mutating func handle(_ input: Input, at now: Moment) -> [Action] {
        self.now = now
        actions = []
        switch input {
        case .begin: read()
        case .timer: if phase == .waiting { renewedAt == nil ? read() : update() }
        case .answer(let status, let body): answered(status, body)
        case .failed(let reason): trouble(reason)
        case .resign: resign()
        }
        return actions
    }

    // MARK: requests

    private func path(_ name: String? = nil) -> String {
        ResourcePath.objects(.leases, "v1", namespace: self.name.namespace, name: name)
    }

    private mutating func read() {
        phase = .reading
        actions.append(.request(method: "GET", path: path(name.name), body: ""))
    }

    private mutating func create() {
        phase = .creating
        sentAt = now.steady
        seen = Seen()
        actions.append(.request(method: "POST", path: path(), body: text(holder: identity, transitions: 0)))
    }

    /// Takes the Lease, or renews it: the server refuses it if it has changed meanwhile.
    private mutating func update() {
        phase = .updating
        sentAt = now.steady
        // The server counts in 32 bits.
        let known = min(max(seen.transitions, 0), Int(Int32.max) - 1)
        let transitions = seen.holder == identity ? known : known + 1
        actions.append(
            .request(method: "PUT", path: path(name.name), body: text(holder: identity, transitions: transitions)))
    }

    private mutating func resign() {
        // A request that takes the Lease may be in hand. If the server has not done it yet, it gets this one first and
        // refuses that one, whose resourceVersion is old; a Lease that is not there yet cannot be given back.
        let mayHold = renewedAt != nil || phase == .updating
        phase = .resigned
        renewedAt = nil
        guard mayHold else { return }
        let body = text(holder: "", transitions: seen.transitions)
        actions.append(.request(method: "PUT", path: path(name.name), body: body))
    }

    private func text(holder: String, transitions: Int) -> String {
        let time = LeaseText.time(now.wall)
        let acquired = seen.holder == identity && !seen.acquireTime.isEmpty ? seen.acquireTime : time
        return LeaseText.lease(
            name, resourceVersion: seen.resourceVersion, holder: holder,
            seconds: holder.isEmpty ? 1 : max(1, timing.duration / 1000), acquired: acquired, renewed: time,
            transitions: transitions)
    }

    private mutating func wait(_ milliseconds: Int) {
        phase = .waiting
        actions.append(.wait(milliseconds: max(1, milliseconds)))
    }

    // MARK: answers

    private mutating func answered(_ status: Int, _ body: [UInt8]) {
        switch (phase, status) {
        case (.idle, _), (.waiting, _), (.resigned, _): return
        case (.reading, 200): found(body)
        case (.reading, 404): create()
        case (.creating, 200...201), (.updating, 200...201): written(body)
        // Another replica was faster, or the Lease was removed.
        case (.creating, 409), (.updating, 409), (.updating, 404): lost()
        case (_, 403): refused()
        default: trouble("the server answers \(status)")
        }
    }

    private mutating func found(_ body: [UInt8]) {
        guard let lease = note(body) else { return trouble("the Lease cannot be read") }
        if lease.holder == identity || lease.holder.isEmpty { return update() }
        let left = seenAt + Int64(lease.milliseconds) - now.steady
        guard left > 0 else { return update() }
        renewedAt = nil
        tell(.following(lease.holder))
        wait(Int(min(left, Int64(timing.retry))))
    }

    private mutating func written(_ body: [UInt8]) {
        guard let lease = note(body), lease.holder == identity else {
            return trouble("the server's answer is no Lease of this replica")
        }
        renewedAt = sentAt
        tell(.leading)
        wait(timing.renew)
    }

    private mutating func lost() {
        stepDown()
        wait(timing.retry / 4)
    }

    private mutating func refused() {
        let verb = phase == .reading ? "get" : phase == .creating ? "create" : "update"
        stepDown()
        actions.append(
            .refused(
                Permission(
                    verb: verb, group: "coordination.k8s.io", resource: "leases", namespace: name.namespace,
                    name: phase == .creating ? nil : name.name)))
        wait(timing.refused)
    }

    /// Nothing is known: a leader tries again until its time is over.
    private mutating func trouble(_ reason: String) {
        guard phase != .resigned else { return }
        actions.append(.trouble(reason))
        if !leads(at: now) { stepDown() }
        wait(timing.retry)
    }

    private mutating func stepDown() {
        guard renewedAt != nil else { return }
        renewedAt = nil
        tell(.following(nil))
    }

    private mutating func tell(_ next: Noted) {
        guard noted != next else { return }
        noted = next
        switch next {
        case .leading: actions.append(.lead)
        case .following(let holder): actions.append(.follow(holder))
        }
    }

    private mutating func note(_ body: [UInt8]) -> Seen? {
        guard let lease = try? LeaseText.read(body) else { return nil }
        let next = Seen(
            holder: lease.holder, renewTime: lease.renewTime, resourceVersion: lease.resourceVersion,
            milliseconds: min(max(lease.seconds, 1), Self.longestSeconds) * 1000, transitions: lease.transitions,
            acquireTime: lease.acquireTime)
        if next != seen { seenAt = now.steady }
        seen = next
        return next
    }

    /// The longest duration of somebody else's Lease that is respected.
    private static let longestSeconds = 3600
}
