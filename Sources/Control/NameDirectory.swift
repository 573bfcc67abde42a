internal import Reactor
internal import Synchronization

/// Resolves names on a thread of its own, again and again; a failing look-up keeps the last answer.
/// Any thread may ask; the owner is told through its mailbox when an answer changed.
final class NameDirectory: Sendable {
    private struct State {
        var names: Set<String> = []
        var addresses: [String: [String]] = [:]
        var failures: [String: String] = [:]
        var tried: Set<String> = []
    }

    private let state = Mutex(State())
    private let bell: Mailbox<Void>
    private let refreshMilliseconds: Int32
    private let lookUp: @Sendable (String) throws(ResolverError) -> [String]
    private let changed: @Sendable () -> Void

    /// - Parameters:
    ///   - refreshMilliseconds: how long an answer is used before the next look-up; `getaddrinfo` does
    ///     not tell how long it holds.
    ///   - lookUp: the addresses of a name, sorted; may block. Called on the resolver's thread.
    ///   - changed: called on the resolver's thread.
    init(
        refreshMilliseconds: Int32 = 15_000,
        lookUp: @escaping @Sendable (String) throws(ResolverError) -> [String] = Resolver.addresses(of:),
        changed: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        self.refreshMilliseconds = refreshMilliseconds
        self.lookUp = lookUp
        self.changed = changed
        bell = try Mailbox()
        try Thread.start("resolver") { [self] in run() }
    }

    /// Names that the configuration wants resolved from now on.
    func want(_ names: Set<String>) {
        let hasNew = state.withLock { state in
            defer { state.names = names }
            return !names.subtracting(state.tried).isEmpty
        }
        if hasNew { bell.post(()) }
    }

    var addresses: [String: [String]] { state.withLock { $0.addresses } }

    /// Every name was looked up at least once, with or without success.
    var isSettled: Bool { state.withLock { $0.names.isSubset(of: $0.tried) } }

    /// Names whose last look-up failed, with the resolver's sentence.
    var failures: [String: String] { state.withLock { $0.failures } }

    private func run() {
        while true {
            _ = Output.waitUntilReadable(bell.descriptor, milliseconds: refreshMilliseconds)
            _ = bell.takeAll()
            var hasChanged = false
            for name in state.withLock({ $0.names }).sorted() where resolve(name) { hasChanged = true }
            if hasChanged { changed() }
        }
    }

    /// - Returns: whether something is different from before.
    private func resolve(_ name: String) -> Bool {
        do throws(ResolverError) {
            let found = try lookUp(name)
            return state.withLock { state in
                state.failures[name] = nil
                let isFirst = state.tried.insert(name).inserted
                guard !found.isEmpty, state.addresses[name] != found else { return isFirst }
                state.addresses[name] = found
                return true
            }
        } catch {
            // A failure is told when it begins, so that it stands in the log once, not every time.
            return state.withLock { state in
                let isFirst = state.tried.insert(name).inserted
                return state.failures.updateValue(error.description, forKey: name) == nil || isFirst
            }
        }
    }
}
