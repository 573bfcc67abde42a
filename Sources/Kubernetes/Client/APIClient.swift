internal import HTTP
internal import Octets
internal import Reactor
internal import TLS

/// Makes requests to the API server: keeps a connection, and makes another one when it is lost, when the server asks
/// for it, or when all its streams are in use. Requests wait while there is none. `CallTable` and `ConnectState`
/// decide, and this object has the connections and timers.
///
/// It acts on nothing while a connection reads: what has come of requests is noted, and `takeEvents` gives it.
///
/// Thread: its owner's. Freed by: the loop that made it.
final class APIClient {
    private let access: ClusterAccess
    private let timing: WatchTiming
    private let timers: ClientTimers
    private let poller: Poller
    private let prepare: (PreparedCredential?) -> Void
    private let pools = MessagePools()
    private let scratch = OctetBuffer(capacity: 131_072)

    private var calls = CallTable()
    private var callTimers: [CallNumber: TimerWheel.TimerID] = [:]

    private var connecting: ConnectState
    private var context: TLSClientContext?    // while addresses are tried
    private var connections: [Int: APIConnection] = [:]
    private var connectionTimers: [Int: TimerWheel.TimerID] = [:]
    private var nextConnection = 1
    private var reconnectTimer = TimerWheel.TimerID.none
    private var isStopped = false
    private var limits: [ClusterLimit] = []    // that were reached, since `takeLimits`
    private var isFull = false    // requests wait, and there may be no further connection for them

    /// Connections that are not asked to end by the server. One has room for 100 streams or more.
    private static let mostConnections = 8
    /// Connections that the server has asked to end and that have streams still.
    private static let mostDraining = 4

    /// - Parameter prepare: has a thread call `ClusterAccess.prepare`, and `prepared` on this thread afterwards.
    init(
        access: ClusterAccess, timing: WatchTiming, timers: ClientTimers, poller: Poller, seed: UInt64,
        prepare: @escaping (PreparedCredential?) -> Void
    ) {
        self.access = access
        self.timing = timing
        self.timers = timers
        self.poller = poller
        self.prepare = prepare
        connecting = ConnectState(timing: timing, seed: seed)
    }

    private var now: Int64 { timers.now.steady }

    // MARK: requests

    /// Makes a request as soon as there is a connection.
    func start(_ request: APIRequest) -> CallNumber {
        var request = request
        request.path = access.pathPrefix + request.path
        defer { carryOut() }
        return calls.start(request, at: now)
    }

    /// Gives a request up; nothing more comes of it.
    func cancel(_ number: CallNumber) {
        calls.cancel(number)
        carryOut()
    }

    /// Changes how long the request may be silent.
    func allow(silence: Int, for number: CallNumber) {
        calls.allow(silence: silence, for: number)
        carryOut()
    }

    /// Whether `takeEvents` or `takeOutage` has something to give.
    var hasEvents: Bool { calls.hasEvents || connecting.hasOutage || !limits.isEmpty }

    /// What has come of requests since the last call, in order.
    func takeEvents() -> [(call: CallNumber, event: CallEvent)] { calls.takeEvents() }

    /// Why no connection could be made, once for each try.
    func takeOutage() -> String? { connecting.takeOutage() }

    /// The limits that were reached since the last call.
    func takeLimits() -> [ClusterLimit] {
        defer { limits = [] }
        return limits
    }

    /// Sends the requests that wait, as far as there is room, and has a connection made for the others.
    func pump() {
        guard !isStopped, calls.isWaiting else { return isFull = false }
        guard connecting.credential != nil else { return carryOut(connecting.wants(at: timers.now)) }
        carryOut(connecting.look(at: timers.now, isReplaced: isReplaced))
        let lacksRoom = calls.sendWaiting(at: now, send)
        carryOut()
        let mayConnect = connections.values.count(where: { !$0.state.isDraining }) < Self.mostConnections
        if lacksRoom, mayConnect { carryOut(connecting.wants(at: timers.now)) }
        if lacksRoom, !mayConnect, !isFull { limits.append(.connections) }
        isFull = lacksRoom && !mayConnect
        flush()
    }

    private func isReplaced(_ stamp: FileStamp?) -> Bool {
        if case .tokenFile(let path) = access.credential { FileStamp(path) != stamp } else { false }
    }

    private func send(_ number: CallNumber, _ request: APIRequest) -> (connection: Int, slot: Int)? {
        let isLasting = request.form == .lines
        for place in connections.keys.sorted() {
            guard let connection = connections[place], connection.hasRoom(isLasting: isLasting) else { continue }
            let slot = connection.submit(
                request, host: access.authority, bearer: connecting.credential?.bearer, call: number)
            if let slot { return (place, slot) }
        }
        return nil
    }

    private func carryOut() {
        for action in calls.takeActions() {
            switch action {
            case .cancel(let call, let connection, let slot): connections[connection]?.cancel(slot, call: call)
            case .arm(let call, let milliseconds):
                if var timer = callTimers[call] { timers.cancel(&timer) }
                callTimers[call] = timers.arm(after: milliseconds, .call(call))
            case .disarm(let call):
                if var timer = callTimers.removeValue(forKey: call) { timers.cancel(&timer) }
            case .reached(let limit): limits.append(limit)
            }
        }
    }

    // MARK: connections

    private func carryOut(_ actions: [ConnectState.Action]) {
        for action in actions {
            switch action {
            case .prepare(let known):
                setReconnectTimer(after: timing.preparation)
                prepare(known)
            case .connect(let address): connect(to: address)
            case .wait(let milliseconds): setReconnectTimer(after: milliseconds)
            case .drain: for connection in connections.values where connection.state.isOpen { connection.drain() }
            }
        }
        if !connecting.isConnecting { context = nil }
    }

    private func setReconnectTimer(after milliseconds: Int) {
        timers.cancel(&reconnectTimer)
        reconnectTimer = timers.arm(after: milliseconds, .reconnect)
    }

    private var hasRoom: Bool { connections.values.contains { $0.hasRoom(isLasting: true) } }

    /// The thread that `prepare` has started is done.
    func prepared(_ result: Result<PreparedAccess, AccessError>) {
        guard !isStopped else { return }
        switch result {
        case .success(let ready): context = ready.context
        case .failure(let error): if let limit = error.limit { limits.append(limit) }
        }
        timers.cancel(&reconnectTimer)
        carryOut(
            connecting.prepared(result.map { ($0.addresses, $0.credential) }, hasRoom: hasRoom, at: timers.now))
    }

    private func connect(to address: SocketAddress) {
        guard let context else { return }
        let number = nextConnection
        nextConnection += 1
        do {
            let connection = try APIConnection(
                number: number, address: address, context: context, serverName: access.serverName, pools: pools,
                scratch: scratch, client: self, timing: timing, now: now)
            try poller.watch(connection.descriptor, token: UInt64(number))
            connections[number] = connection
            connectionTimers[number] = timers.arm(after: timing.connect, .connection(number))
        } catch {
            carryOut(connecting.failed("\(error)"))
        }
    }

    /// Reads from a connection once.
    /// - Returns: whether there may be more to read.
    func becameReady(_ number: Int) -> Bool {
        guard let connection = connections[number] else { return false }
        if connection.becameReady(at: now, second: timers.second) { return true }
        if connection.state.hasSecrets { connection.wipeBuffers() }
        return false
    }

    /// Sends what connections have to send, and ends those that have to.
    func flush() {
        for connection in connections.values { connection.flush() }
        let draining = connections.values.filter(\.state.isDraining).sorted { $0.number < $1.number }
        for connection in draining.dropLast(Self.mostDraining) {
            limits.append(.connections)
            connection.close()
            closed(connection, reason: "the server asked for another connection")
        }
    }

    /// A timer has run out: ends the call or connection that was silent for too long, or sets its timer anew; or the
    /// pause before another connection is over.
    func fired(_ purpose: ClientTimers.Purpose) {
        switch purpose {
        case .call(let number):
            callTimers[number] = nil
            calls.checkSilence(number, at: now)
            carryOut()
        case .connection(let number):
            connectionTimers[number] = nil
            guard let connection = connections[number] else { return }
            connection.checkLife(at: now)
            guard let deadline = connection.state.deadline else {
                limits.append(connection.state.wasOpened ? .silence : .connectTime)
                return
            }
            connectionTimers[number] = timers.arm(after: Int(max(deadline - now, 1)), .connection(number))
        case .reconnect:
            if connecting.stage == .preparing { limits.append(.preparation) }
            connecting.waited(for: access, hasRoom: hasRoom)
        case .watcher: break
        }
    }

    /// The server did not take the credentials.
    func renewCredentials() { carryOut(connecting.refused(at: timers.now)) }

    /// Ends all connections; nothing more happens.
    func stop() {
        isStopped = true
        for connection in connections.values {
            poller.forget(connection.descriptor)
            connection.close()
        }
        connections = [:]
    }
}

// MARK: what connections tell

extension APIClient: APIConnectionClient {
    /// The connection takes requests from now on.
    func opened(_ connection: APIConnection) {
        connecting.opened()
        context = nil
        if var timer = connectionTimers[connection.number] { timers.cancel(&timer) }
        connectionTimers[connection.number] = timers.arm(after: timing.pingAfter, .connection(connection.number))
    }

    /// A header section of an answer has come.
    func received(_ headers: HeaderBlock, for number: CallNumber) {
        if calls.received(headers, for: number, at: now) { connecting.answered() }
        carryOut()
    }

    /// Octets of an answer have come.
    func received(_ octets: Octets, for number: CallNumber) {
        calls.received(octets, for: number, at: now)
        carryOut()
    }

    /// The server has ended its answer.
    func finished(_ number: CallNumber) {
        calls.finished(number)
        carryOut()
    }

    /// The server has reset the stream of a call.
    func broke(_ number: CallNumber, code: UInt32) {
        calls.broke(number, code: code)
        carryOut()
    }

    /// The connection is over; requests that it had are failed, or made again.
    func closed(_ connection: APIConnection, reason: String) {
        poller.forget(connection.descriptor)
        connections[connection.number] = nil
        if var timer = connectionTimers.removeValue(forKey: connection.number) { timers.cancel(&timer) }
        calls.lost(connection: connection.number, reason: reason)
        carryOut()
        let state = connection.state
        if !state.wasOpened { return carryOut(connecting.failed(reason)) }
        if !state.hasAnswered, !state.isDraining { carryOut(connecting.lostUnused(reason)) }
    }
}
