package import Kubernetes
internal import Manifests
internal import Octets
package import Reactor
internal import Synchronization

/// What makes requests to an API server.
package protocol ClusterRequests: Sendable {
    /// See `ClusterWatch.request`.
    func request(
        _ method: String, _ path: String, contentType: String, body: [UInt8], milliseconds: Int,
        reply: @escaping @Sendable (ClusterWatch.Reply) -> Void)
}

extension ClusterWatch: ClusterRequests {}

/// Writes into the status of the cluster's objects what the loads have found. One of several replicas does, elected by
/// a Lease. It has a thread of its own; any thread may tell it something.
///
/// Thread: any. Freed by: the `ClusterSource`.
package final class StatusWriter: Sendable {
    /// The identity of the writer, and how fast it writes.
    package struct Plan: Sendable {
        /// The namespace in which the gateway works.
        package var namespace: String
        /// The name of the gateway, of which the Lease and the condition have theirs.
        package var name: String
        /// This replica, which no other one is called.
        package var identity: String
        /// The most writes in a second; 1 or more.
        package var rate: Int
        /// The times of the election; tests shorten them.
        package var timing = LeaseTiming()

        package init(namespace: String, name: String, identity: String, rate: Int) {
            self.namespace = namespace
            self.name = name
            self.identity = identity
            self.rate = rate
        }

        /// The Lease by which the replicas elect one.
        package var lease: LeaseName { LeaseName(namespace: namespace, name: "\(name)-status") }
        var author: StatusAuthor { StatusAuthor(namespace: namespace, name: name) }
    }

    /// What it has done, for metrics and the admin pages.
    package struct Facts: Sendable, Equatable {
        /// Whether this replica writes.
        package var leads = false
        /// Writes that the server has taken.
        package var writes: UInt64 = 0
        /// Writes that it has not taken.
        package var failures: UInt64 = 0
        /// Objects that are left alone because another writer changes them back.
        package var contested = 0
        /// Events that were never written because another replica had become the writer.
        package var eventsLostWithLease: UInt64 = 0
        /// Events that were never written because the server refused them.
        package var eventsRefused: UInt64 = 0
    }

    enum Mail: Sendable {
        case observed([ObservedObject])
        case gone([ObjectReference])
        case loaded(Loaded, [Diagnostic])
        case lease(ClusterWatch.Reply)
        case written(ClusterWatch.Reply)
        case resign
        case stop
    }

    let plan: Plan
    private let mailbox: Mailbox<Mail>
    private let say: @Sendable (Bool, String) -> Void
    private let board = StatusBoard()

    /// - Parameter say: gets sentences for people, and whether somebody should act on them.
    /// - Throws: that no descriptor is left.
    package init(
        _ plan: Plan, say: @escaping @Sendable (_ isWarning: Bool, _ text: String) -> Void
    ) throws(SystemError) {
        self.plan = plan
        self.say = say
        mailbox = try Mailbox<Mail>()
    }

    package var facts: Facts { board.facts.withLock { $0 } }

    /// Starts the thread, which takes part in the election. Signals must be blocked already, as for all threads.
    /// - Throws: that no thread is to be had.
    package func begin(_ requests: any ClusterRequests) throws(SystemError) {
        let (plan, mailbox, say, board) = (plan, mailbox, say, board)
        try Thread.start("status", isLasting: true, niceness: 10) {
            StatusLoop(plan, mailbox, say, board, requests).run()
        }
    }

    /// Gives the Lease back: another replica goes on at once.
    func resign() { mailbox.post(.resign) }
    /// Ends the thread.
    package func stop() { mailbox.post(.stop) }
    /// What a load made of the objects is written into their status.
    func loaded(_ loaded: Loaded, _ diagnostics: [Diagnostic]) { mailbox.post(.loaded(loaded, diagnostics)) }

    /// The client has learned something.
    /// - Returns: what it has learned of objects whose status is written, and how many have too much of other writers.
    func observe(_ events: [ResourceEvent]) -> (seen: [ObservedObject], crowded: Int) {
        var (seen, gone, crowded): ([ObservedObject], [ObjectReference], Int) = ([], [], 0)
        /// Enters one object, read from its JSON, where it counts; one whose status is of no concern nowhere.
        func look(_ kind: ResourceKind, _ octets: [UInt8]) {
            switch ObservedObject.look(kind: kind.kind, octets, author: plan.author) {
            case .object(let object): seen.append(object)
            case .crowded: crowded += 1
            case .nothing: break
            }
        }
        for event in events {
            switch event {
            case .page(let kind, _, let objects, _, _) where ObservedObject.plurals[kind.kind] != nil:
                for octets in objects { look(kind, octets) }
            case .changed(let kind, let octets): look(kind, octets)
            case .removed(let kind, let namespace, let name) where ObservedObject.plurals[kind.kind] != nil:
                let identity = ObjectReference(kind: kind.kind, namespace: namespace, name: name)
                seen.removeAll { $0.identity == identity }
                gone.append(identity)
            case .page, .removed, .secretRead, .state, .secret: continue
            }
        }
        if !gone.isEmpty { mailbox.post(.gone(gone)) }
        if !seen.isEmpty { mailbox.post(.observed(seen)) }
        return (seen, crowded)
    }
}

/// What the thread has done, for others to read.
///
/// Thread: any. Freed by: the last of the `StatusWriter` and its thread.
private final class StatusBoard: Sendable {
    let facts = Lock(StatusWriter.Facts())
}

/// The thread of a `StatusWriter`.
///
/// Thread: the status writer's. Freed by: the end of that thread.
private final class StatusLoop {
    private let plan: StatusWriter.Plan
    private let mailbox: Mailbox<StatusWriter.Mail>
    private let say: @Sendable (Bool, String) -> Void
    private let board: StatusBoard
    private let requests: any ClusterRequests
    private var desk: StatusDesk
    private var election: LeaseElection
    private var leaseDue: Int64?    // when the election wants to go on
    private var writing: StatusDesk.Write?
    private var troubles = 0    // in a row
    private var isStopped = false

    init(
        _ plan: StatusWriter.Plan, _ mailbox: Mailbox<StatusWriter.Mail>,
        _ say: @escaping @Sendable (Bool, String) -> Void, _ board: StatusBoard, _ requests: any ClusterRequests
    ) {
        self.plan = plan
        self.mailbox = mailbox
        self.say = say
        self.board = board
        self.requests = requests
        desk = StatusDesk(author: plan.author, instance: plan.identity, rate: plan.rate)
        election = LeaseElection(plan.lease, identity: plan.identity, timing: plan.timing)
    }

    private var now: Moment {
        let wall = WallTime.now()
        return Moment(
            wall: Int64(wall.seconds) * 1000 + Int64(wall.nanoseconds / 1_000_000),
            steady: Int64(clamping: MonotonicTime.now().nanoseconds / 1_000_000))
    }

    func run() {
        act(.begin)
        var wait: Int32 = -1
        while !isStopped {
            _ = DescriptorWait.untilReadable(mailbox.descriptor, milliseconds: wait)
            for mail in mailbox.takeAll() { take(mail) }
            if let leaseDue, now.steady >= leaseDue {
                self.leaseDue = nil
                act(.timer)
            }
            wait = work()
            for note in desk.takeNotes() { say(true, "Status: \(note)") }
            let facts = StatusWriter.Facts(
                leads: election.leads(at: now), writes: desk.writes, failures: desk.failures,
                contested: desk.contested.count, eventsLostWithLease: desk.lostEvents.withLease,
                eventsRefused: desk.lostEvents.refused)
            board.facts.withLock { $0 = facts }
        }
    }

    private func take(_ mail: StatusWriter.Mail) {
        switch mail {
        case .observed(let objects): for object in objects { desk.observe(object) }
        case .gone(let identities): for identity in identities { desk.forget(identity) }
        case .loaded(let loaded, let diagnostics): desk.report(StatusVerdict.all(of: loaded, diagnostics))
        case .lease(.answer(let status, _, let body)): act(.answer(status: status, body: body))
        case .lease(.failed(let reason)): act(.failed(reason))
        case .written(let reply): written(reply)
        case .resign: act(.resign)
        case .stop: isStopped = true
        }
    }

    /// Writes what is due.
    /// - Returns: how long to wait for something else, in milliseconds; -1: until there is mail.
    private func work() -> Int32 {
        desk.lead(election.leads(at: now))
        var waits: [Int64] = []
        if let leaseDue { waits.append(max(0, leaseDue - now.steady)) }
        if writing == nil {
            switch desk.next(at: now.steady, seconds: Int(now.wall / 1000)) {
            case .write(let write): send(write)
            case .wait(let milliseconds): waits.append(Int64(milliseconds))
            case .idle: break
            }
        }
        return waits.min().map { Int32(clamping: $0 + 1) } ?? -1
    }

    private func send(_ write: StatusDesk.Write) {
        writing = write
        let mailbox = mailbox
        requests.request(
            write.method, write.path, contentType: write.contentType, body: Array(write.body.utf8), milliseconds: 10_000
        ) { mailbox.post(.written($0)) }
    }

    private func written(_ reply: ClusterWatch.Reply) {
        guard let write = writing else { return }
        writing = nil
        switch reply {
        case .answer(let status, let retryAfter, let body):
            desk.answered(write, .answer(status: status, retryAfter: retryAfter, body: body), at: now.steady)
        case .failed: desk.answered(write, .failed, at: now.steady)
        }
    }

    // MARK: the election

    private func act(_ input: LeaseElection.Input) {
        for action in election.handle(input, at: now) { perform(action) }
    }

    private func perform(_ action: LeaseElection.Action) {
        let lease = "Lease \(plan.lease.namespace)/\(plan.lease.name)"
        switch action {
        case .request(let method, let path, let body):
            let mailbox = mailbox
            requests.request(
                method, path, contentType: body.isEmpty ? "" : "application/json", body: Array(body.utf8),
                milliseconds: plan.timing.answer
            ) { mailbox.post(.lease($0)) }
        case .wait(let milliseconds): leaseDue = now.steady + Int64(milliseconds)
        case .lead:
            troubles = 0
            say(false, "Status: this replica (\(plan.identity)) writes the status of objects, by \(lease)")
        case .follow(let holder):
            troubles = 0
            say(false, "Status: \(holder ?? "another replica") writes the status of objects, by \(lease)")
        case .refused(let permission):
            say(true, "Status: the permission \(permission) is missing: this replica writes no status of objects")
        case .trouble(let reason):
            troubles += 1
            if troubles == 3 { say(true, "Status: \(lease) cannot be read or written: \(reason); it is tried again") }
        }
    }
}
