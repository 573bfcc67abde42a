internal import Octets
package import Reactor
package import Telemetry

/// The status listener and the admin listener: small HTTP/1.1 servers on the control plane's thread. The loop that owns
/// this object calls `watch` once, and then passes on the time and those tokens that belong to it:
///
///     try server.watch(poller)
///     while … {
///         let count = poller.wait(milliseconds: server.wait(now: .now()))
///         for … where AdminServer.owns(token) { server.wake(token, now: .now()) }
///         server.expire(now: .now())
///     }
///
/// Everything has a limit: connections, sizes of requests, answers in memory, and the time of each phase. When all
/// slots are in use, the connection that has been in its phase for the longest time is closed, so that a client that
/// opens connections and sends nothing cannot keep out the load balancer's health checks.
///
/// Thread: the main thread. Freed by: the control plane, at the end of the process.
package final class AdminServer {
    private struct Listener {
        var descriptor: CInt    // owned; closed in `deinit`; -1: nothing is accepted any more
        let scope: AdminScope
        let address: SocketAddress?
    }

    private static let connectionsLimit = 64
    static let acceptsPerTurn = 16
    /// Octets of answers that clients have not received yet. Beyond it, a request is answered 503.
    private static let waitingLimit = 64 << 20
    /// How long no connection is accepted after the process ran out of file descriptors.
    private static let acceptPause = Duration.milliseconds(200)

    private let reached: (ReachedLimit) -> Void
    private let pages: AdminPages
    private var listeners: [Listener] = []
    private var connections: [AdminConnection?] = Array(repeating: nil, count: connectionsLimit)
    private var generations = [UInt32](repeating: 0, count: connectionsLimit)    // grows with each reuse
    private var timers: TimerWheel
    private var due: ContiguousArray<UInt64> = []
    private var poller: Poller?

    /// Opens the listeners; nil opens none.
    /// - Parameters:
    ///   - inherited: sockets that are open already, for those addresses among others.
    ///   - reached: counts that a limit of docs/limits.md was reached.
    ///   - now: when the server is made.
    package init(
        status: SocketAddress?, admin: SocketAddress?, pages: [AdminPage], now: MonotonicTime = .now(),
        inherited: InheritedSockets = InheritedSockets(), reached: @escaping (ReachedLimit) -> Void
    ) throws(SystemError) {
        self.reached = reached
        self.pages = AdminPages(pages)
        timers = TimerWheel(now: now)
        if let status { try open(status, .status, inherited) }
        if let admin { try open(admin, .admin, inherited) }
    }

    deinit {
        for listener in listeners where listener.descriptor >= 0 { Socket.close(listener.descriptor) }
        for case let connection? in connections { Socket.close(connection.descriptor) }
    }

    /// The address of the status listener. If port 0 was asked for, it has the port that the kernel chose.
    package var statusAddress: SocketAddress? { listeners.first { $0.scope == .status }?.address }
    /// The address of the admin listener, likewise.
    package var adminAddress: SocketAddress? { listeners.first { $0.scope == .admin }?.address }

    private func open(
        _ address: SocketAddress, _ scope: AdminScope, _ inherited: InheritedSockets
    ) throws(SystemError) {
        let found = inherited.take(address)
        for further in found.dropFirst() { Socket.close(further) }
        let listening: CInt
        if let first = found.first {
            listening = first
        } else {
            listening = try Socket.listen(address, backlog: 128, sharing: .none).release()
        }
        listeners.append(Listener(descriptor: listening, scope: scope, address: Socket.localAddress(listening)))
    }
}

@available(*, unavailable) extension AdminServer: Sendable {}

// For the loop that owns it.
extension AdminServer {
    /// Whether a token of the poller belongs to this server. Its first octet is 0xad, which no other part of the
    /// control plane uses.
    package static func owns(_ token: UInt64) -> Bool { Token(token) != nil }

    /// Watches the listeners, and later their connections, with this poller.
    package func watch(_ poller: Poller) throws(SystemError) {
        self.poller = poller
        for (index, listener) in listeners.enumerated() {
            try poller.watchReadable(listener.descriptor, token: Token(listener: index).packed)
        }
    }

    /// The listening sockets, which stay this server's.
    package var sockets: [CInt] { listeners.map(\.descriptor).filter { $0 >= 0 } }

    /// Another process accepts the connections from now on. Those that are open end with the answer that they wait for.
    package func stopListening() {
        for index in listeners.indices where listeners[index].descriptor >= 0 {
            poller?.forget(listeners[index].descriptor)
            Socket.close(listeners[index].descriptor)
            listeners[index].descriptor = -1
        }
        for slot in connections.indices {
            guard let connection = connections[slot] else { continue }
            connection.endAfterAnswer()
            if connection.state.isClosed {
                close(connection, Token(connection: slot, generation: generations[slot]))
            }
        }
    }

    /// Serves the descriptor of a token that has become ready.
    package func wake(_ token: UInt64, now: MonotonicTime) {
        guard let token = Token(token) else { return }
        if token.isListener { return accept(listener: token.slot, now: now) }
        guard let connection = connection(token) else { return }    // closed earlier in this batch
        advance(connection, token, now: now)
    }

    /// Milliseconds until `expire` has something to do; -1 if it has nothing.
    package func wait(now: MonotonicTime) -> Int32 { timers.wait(now: now) }

    /// Ends connections whose phase took too long.
    package func expire(now: MonotonicTime) {
        due.removeAll(keepingCapacity: true)
        timers.expire(now: now, into: &due)
        for token in due.lazy.compactMap(Token.init(_:)) {
            if token.isListener {
                resumeAccepting(listener: token.slot)
            } else if let connection = connection(token) {
                connection.timer = .none
                connection.expire(at: now)
                close(connection, token)
            }
        }
    }
}

extension AdminServer {
    private func accept(listener index: Int, now: MonotonicTime) {
        guard listeners.indices.contains(index), listeners[index].descriptor >= 0 else { return }
        for _ in 0..<Self.acceptsPerTurn {
            do {
                guard let (descriptor, _) = try Socket.accept(listeners[index].descriptor) else { return }
                let scope = listeners[index].scope
                welcome(AdminConnection(descriptor: descriptor, scope: scope, at: now, reached: reached))
            } catch {
                reached(.adminPause)
                // The listener stays readable, so without a pause the loop would turn without waiting.
                poller?.forget(listeners[index].descriptor)
                _ = timers.arm(at: now + Self.acceptPause, token: Token(listener: index).packed)
                return
            }
        }
    }

    private func resumeAccepting(listener index: Int) {
        guard listeners.indices.contains(index), listeners[index].descriptor >= 0 else { return }
        try? poller?.watchReadable(listeners[index].descriptor, token: Token(listener: index).packed)
    }

    private func welcome(_ connection: AdminConnection) {
        let slot = connections.firstIndex { $0 == nil } ?? giveWay()
        generations[slot] &+= 1
        connections[slot] = connection
        let token = Token(connection: slot, generation: generations[slot])
        guard let poller, (try? poller.watch(connection.descriptor, token: token.packed)) != nil else {
            return close(connection, token)
        }
        arm(connection, token)
    }

    /// Closes the connection that has been in its phase for the longest time.
    private func giveWay() -> Int {
        var oldest = 0
        for slot in connections.indices {
            guard let candidate = connections[slot] else { return slot }
            if let best = connections[oldest], candidate.state.since < best.state.since { oldest = slot }
        }
        if let connection = connections[oldest] {
            reached(.adminConnections)
            close(connection, Token(connection: oldest, generation: generations[oldest]))
        }
        return oldest
    }

    private func connection(_ token: Token) -> AdminConnection? {
        guard connections.indices.contains(token.slot),
            generations[token.slot] & Token.generationMask
                == token.generation
        else { return nil }
        return connections[token.slot]
    }

    private func advance(_ connection: AdminConnection, _ token: Token, now: MonotonicTime) {
        var begin: ((@escaping (AdminResponse) -> Void) -> Void)?
        connection.advance(at: now) { request in
            switch answer(request, connection.scope) {
            case .now(let response): return response
            case .later(let work):
                begin = work
                return nil
            }
        }
        settle(connection, token)
        begin? { [weak self] response in self?.complete(token, response) }
    }

    private func answer(_ request: AdminRequest, _ scope: AdminScope) -> AdminAnswer {
        guard waitingOctets < Self.waitingLimit else {
            reached(.adminAnswers)
            return .now(AdminResponse(503, "Too many answers wait for clients that do not read them."))
        }
        if scope == .admin, let refusal = AdminDoor(address: adminAddress).refusal(of: request) {
            return .now(refusal)
        }
        return pages.answer(request, scope: scope)
    }

    /// Takes the answer that a request was waiting for. Its connection may be closed already.
    private func complete(_ token: Token, _ response: AdminResponse) {
        guard let connection = connection(token) else { return }
        let now = MonotonicTime.now()
        connection.complete(response, at: now)
        advance(connection, token, now: now)
    }

    private func settle(_ connection: AdminConnection, _ token: Token) {
        if connection.state.isClosed { close(connection, token) } else { arm(connection, token) }
    }

    private var waitingOctets: Int { connections.reduce(0) { $0 + ($1?.waitingOctets ?? 0) } }

    /// Sets the timer to the deadline of the phase.
    private func arm(_ connection: AdminConnection, _ token: Token) {
        let deadline = connection.state.deadline
        guard connection.timerDeadline != deadline else { return }
        timers.cancel(&connection.timer)
        connection.timerDeadline = deadline
        if let deadline { connection.timer = timers.arm(at: deadline, token: token.packed) }
    }

    private func close(_ connection: AdminConnection, _ token: Token) {
        timers.cancel(&connection.timer)
        poller?.forget(connection.descriptor)
        Socket.close(connection.descriptor)
        if connections.indices.contains(token.slot) { connections[token.slot] = nil }
    }

    /// A token for the poller: that it is this server's, which slot, and which use of the slot.
    private struct Token {
        static let generationMask: UInt32 = 0x7f_ffff
        private static let mark: UInt64 = 0xad << 56
        private static let listenerBit: UInt64 = 1 << 55

        let packed: UInt64

        init?(_ packed: UInt64) {
            guard packed >> 56 == Self.mark >> 56 else { return nil }
            self.packed = packed
        }

        init(listener index: Int) { packed = Self.mark | Self.listenerBit | UInt64(index) }

        init(connection slot: Int, generation: UInt32) {
            packed = Self.mark | UInt64(generation & Self.generationMask) << 32 | UInt64(slot)
        }

        var isListener: Bool { packed & Self.listenerBit != 0 }
        var slot: Int { Int(packed & 0xffff_ffff) }
        var generation: UInt32 { UInt32(truncatingIfNeeded: packed >> 32) & Self.generationMask }
    }
}
