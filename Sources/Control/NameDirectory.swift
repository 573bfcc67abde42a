internal import Manifests
internal import Octets
internal import Reactor
internal import Synchronization
internal import Telemetry

/// Resolves names beside all other threads, again and again; a failing look-up keeps the last answer.
/// Any thread may ask; the owner hears of it through `changed` when an answer changed.
///
/// A look-up blocks, for ten seconds and more when a server says nothing, so each has a thread of its own,
/// and a thread of the directory's decides which one is next. What somebody's slow name must not do is to
/// keep other names waiting: those that were never looked up go first, the newest before all; names of one
/// domain have half of the places, and so have all names together whose domain was slow before.
///
/// Thread: any. Freed by: nobody: its own thread, which has it, lasts as long as the process.
final class NameDirectory: Sendable {
    private let state = Lock(NameSchedule())
    private let bell: Mailbox<Void>
    /// Rings when a look-up has ended.
    private let answers: Mailbox<Void>
    private let refresh: Duration
    private let lookUp: @Sendable (String) throws(ResolverError) -> [String]
    private let changed: @Sendable () -> Void
    private let reached: @Sendable (ReachedLimit) -> Void

    /// - Parameters:
    ///   - refreshMilliseconds: how long an answer is used before the next look-up; `getaddrinfo` does
    ///     not tell how long it holds.
    ///   - lookUp: the addresses of a name, sorted; may block. Called on a thread of its own.
    ///   - reached: called when a limit is reached, on any thread.
    ///   - changed: called on that thread.
    init(
        refreshMilliseconds: Int = 15_000,
        lookUp: @escaping @Sendable (String) throws(ResolverError) -> [String] = Resolver.addresses(of:),
        reached: @escaping @Sendable (ReachedLimit) -> Void = { _ in }, changed: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        refresh = .milliseconds(refreshMilliseconds)
        self.lookUp = lookUp
        self.changed = changed
        self.reached = reached
        bell = try Mailbox()
        answers = try Mailbox()
        try Thread.start("resolver") { [self] in run() }
    }

    /// Names that the configuration wants resolved from now on.
    func want(_ names: Set<String>) {
        let hasNew = state.withLock { $0.want(names, at: .now()) }
        if hasNew { bell.post(()) }
    }

    /// The most addresses of a name: about as many as fit into an answer of DNS, of 64 KiB.
    static let mostAddresses = 4096

    /// How long a load waits for the first answers for names that are new.
    static let longestWait = Duration.seconds(1)

    /// Waits until names that a load is about to want were looked up, with or without success: a route that it leads to
    /// them would find no endpoint until then. A name that is in effect, and whose server has said nothing for as long,
    /// delays no load. One caller at a time.
    /// - Parameter limit: ends it early.
    /// - Returns: whether all that were awaited were.
    func waitForAnswers(
        of names: Set<String>, for longestWait: Duration = NameDirectory.longestWait, limit: LoadLimit
    ) -> Bool {
        let now = MonotonicTime.now()
        let (hasNew, awaited) = state.withLock { $0.expect(names, at: now, longest: longestWait) }
        if hasNew { bell.post(()) }
        while !state.withLock({ $0.areTried(awaited) }) {
            guard MonotonicTime.now() < now + longestWait, !limit.isOver else { return false }
            _ = DescriptorWait.untilReadable(answers.descriptor, milliseconds: 50)
            _ = answers.takeAll()
        }
        return true
    }

    var addresses: [String: [String]] { state.withLock { $0.addresses } }

    /// Every name of the first load was looked up at least once, with or without success.
    var isSettled: Bool { state.withLock { $0.isSettled } }

    /// Names whose last look-up failed, with the resolver's sentence.
    var failures: [String: String] { state.withLock { $0.failures } }

    /// Failures that began since this was asked last.
    func takeNewFailures() -> [String: String] { state.withLock { $0.takeNewFailures() } }

    private func run() {
        var wait: Int32 = -1
        while true {
            _ = DescriptorWait.untilReadable(bell.descriptor, milliseconds: wait)
            _ = bell.takeAll()
            let now = MonotonicTime.now()
            let (due, waits) = state.withLock { ($0.takeDue(now: now), $0.takeWaits()) }
            for name in due { start(name) }
            for _ in 0..<waits { reached(.nameLookups) }
            wait = state.withLock { $0.wait(now: now) }
        }
    }

    private func start(_ name: String) {
        do throws(SystemError) {
            try Thread.start("look-up") { [self] in resolve(name) }
        } catch {
            // No thread is to be had: later.
            state.withLock { $0.giveBack(name, next: .now() + .seconds(1)) }
        }
    }

    private func resolve(_ name: String) {
        let began = MonotonicTime.now()
        var found: [String] = []
        var failure: String?
        do throws(ResolverError) { found = try lookUp(name) } catch { failure = error.description }
        if found.count > Self.mostAddresses {
            found.removeLast(found.count - Self.mostAddresses)
            reached(.nameAddresses)
        }
        let now = MonotonicTime.now()
        let hasChanged = state.withLock {
            $0.ended(name, found, failure, isSlow: now >= began + NameSchedule.slow, next: now + refresh)
        }
        if hasChanged { changed() }
        answers.post(())
        bell.post(())
    }
}
