internal import HTTP
internal import Octets
internal import Reactor
internal import TLS

/// Makes requests to the API server: keeps a connection, and makes another one when it is lost, when the server asks
/// for it, or when all its streams are in use. Requests wait while there is none.
///
/// It acts on nothing while a connection reads: what has come of requests is noted, and `takeEvents` gives it.
///
/// Thread: its owner's. Freed by: the loop that made it.
final class APIClient {
    /// What is being done to have one more connection.
    private enum Stage {
        case idle
        /// A thread reads files, runs a plugin, resolves the name.
        case preparing
        case connecting(rest: ArraySlice<SocketAddress>, context: TLSClientContext)
        /// The last try has failed.
        case waiting
    }

    private let access: ClusterAccess
    let timing: WatchTiming
    let timers: ClientTimers
    private let poller: Poller
    private let prepare: (PreparedCredential?) -> Void
    private let pools = MessagePools()
    private let scratch = OctetBuffer(capacity: 131_072)
    private var random: Jitter

    // Requests
    private var calls: [CallNumber: Call] = [:]
    private var callTimers: [CallNumber: TimerWheel.Handle] = [:]
    private var nextCall = 1
    /// Those that wait for a connection, in order.
    private var queue: [CallNumber] = []
    /// Those whose answer is taken as a whole and is on its way.
    private var wholes = 0
    private var events: [(call: CallNumber, event: CallEvent)] = []

    // Connections
    private var stage = Stage.idle
    private(set) var connections: [Int: APIConnection] = [:]
    private var connectionTimers: [Int: TimerWheel.Handle] = [:]
    private var nextConnection = 1
    private var reconnectTimer = TimerWheel.Handle.none
    private var connectBackOff: BackOff
    private var credential: PreparedCredential?
    /// When the credentials were last made or looked at.
    private var lookedAt: Int64 = 0
    /// When credentials that the server did not take were last made anew.
    private var renewedAt = Int64.min / 2
    /// Whether credentials are being made anew, and not a connection.
    private var isRenewing = false
    /// Whether a plugin, if there is one, runs while a connection is prepared.
    private var runsPlugin = false
    /// Why no connection could be made, since the last `takeOutage`.
    private var outage: String?
    private var isStopped = false

    /// Answers that are taken as a whole at a time: they may be large.
    private static let mostWholes = 4
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
        random = Jitter(seed: seed)
        connectBackOff = BackOff(first: timing.firstBackOff, most: timing.mostBackOff)
    }

    private var now: Int64 { timers.now.steady }

    // MARK: requests

    /// Makes a request as soon as there is a connection.
    func start(_ request: APIRequest) -> CallNumber {
        let number = nextCall
        nextCall += 1
        var call = Call(request)
        call.request.path = access.pathPrefix + request.path
        call.aliveAt = now
        calls[number] = call
        queue.append(number)
        if request.isTimedFromStart { armSilence(number, after: request.silence) }
        return number
    }

    /// Gives a request up; nothing more comes of it.
    func cancel(_ number: CallNumber) {
        guard let call = forget(number) else { return }
        queue.removeAll { $0 == number }
        events.removeAll { $0.call == number }
        if let connection = call.connection { connections[connection]?.cancel(call.slot, call: number) }
    }

    /// Changes how long the request may be silent.
    func allow(silence: Int, for number: CallNumber) {
        guard calls[number] != nil else { return }
        calls[number]?.request.silence = silence
        armSilence(number, after: silence)
    }

    /// Whether `takeEvents` has something to give.
    var hasEvents: Bool { !events.isEmpty || outage != nil }

    /// What has come of requests since the last call, in order.
    func takeEvents() -> [(call: CallNumber, event: CallEvent)] {
        defer { events = [] }
        return events
    }

    private func forget(_ number: CallNumber) -> Call? {
        guard let call = calls.removeValue(forKey: number) else { return nil }
        if var timer = callTimers.removeValue(forKey: number) { timers.cancel(&timer) }
        if call.connection != nil, call.request.form != .lines { wholes -= 1 }
        return call
    }

    /// Ends a request.
    private func finish(_ number: CallNumber, _ event: CallEvent) {
        guard forget(number) != nil else { return }
        events.append((number, event))
    }

    private func armSilence(_ number: CallNumber, after milliseconds: Int) {
        if var timer = callTimers[number] { timers.cancel(&timer) }
        callTimers[number] = timers.arm(after: milliseconds, .call(number))
    }

    /// Sends the requests that wait, as far as there is room, and has a connection made for the others.
    func pump() {
        guard !isStopped, !queue.isEmpty else { return }
        guard credential != nil else { return prepareIfIdle(keeping: nil) }
        lookAtCredential()
        var left: [CallNumber] = []
        var needsConnection = false
        for number in queue {
            guard let call = calls[number] else { continue }
            let isLasting = call.request.form == .lines
            if !isLasting, wholes >= Self.mostWholes {
                left.append(number)
            } else if !send(number, call.request, isLasting: isLasting) {
                needsConnection = true
                left.append(number)
            }
        }
        queue = left
        if needsConnection { connect() }
        flush()
    }

    private func send(_ number: CallNumber, _ request: APIRequest, isLasting: Bool) -> Bool {
        for place in connections.keys.sorted() {
            guard let connection = connections[place], connection.hasRoom(isLasting: isLasting),
                let slot = connection.submit(
                    request, host: access.authority, bearer: credential?.bearer, call: number)
            else { continue }
            calls[number]?.connection = place
            calls[number]?.slot = slot
            if !isLasting { wholes += 1 }
            if !request.isTimedFromStart {
                calls[number]?.aliveAt = now
                armSilence(number, after: request.silence)
            }
            return true
        }
        return false
    }

    /// A request may have been silent for too long.
    private func checkSilence(_ number: CallNumber) {
        callTimers[number] = nil
        guard let call = calls[number] else { return }
        let left = call.aliveAt + Int64(call.request.silence) - now
        guard left <= 0 else { return armSilence(number, after: Int(left)) }
        queue.removeAll { $0 == number }
        if let connection = call.connection { connections[connection]?.cancel(call.slot, call: number) }
        finish(number, .failed(.timedOut))
    }

    // MARK: connections

    private func connect() {
        guard connections.values.count(where: { !$0.isDraining }) < Self.mostConnections else { return }
        let second = timers.now.wall / 1000
        prepareIfIdle(keeping: credential.flatMap { $0.isDue(at: second) ? nil : $0 })
    }

    private func prepareIfIdle(keeping known: PreparedCredential?) {
        guard case .idle = stage else { return }
        stage = .preparing
        runsPlugin = known == nil
        timers.cancel(&reconnectTimer)
        reconnectTimer = timers.arm(after: timing.preparation, .reconnect)
        prepare(known)
    }

    /// A plugin that hangs is ended much later than somebody wants to hear of it.
    private func preparationIsSlow() {
        guard !hasRoom else { return }
        let seconds = timing.preparation / 1000
        if runsPlugin, case .plugin(let plugin) = access.credential {
            outage = "the credential plugin \(plugin.command) has not ended after \(seconds) s; it is waited for"
        } else {
            outage = "the name \(access.host) has not been resolved after \(seconds) s; it is waited for"
        }
    }

    /// The thread that `prepare` has started is done.
    func prepared(_ result: Result<PreparedAccess, AccessFault>) {
        guard !isStopped, case .preparing = stage else { return }
        timers.cancel(&reconnectTimer)
        lookedAt = now
        switch result {
        case .failure(let fault):
            let isUsable = credential.map { !$0.isExpired(at: timers.now.wall / 1000) } ?? false
            guard isUsable, hasRoom else { return cannotConnect(fault.description) }
            stage = .idle    // the old credentials go on, and the next look comes soon
        case .success(let ready):
            // A new certificate is shown on a new connection only.
            if isRenewing, ready.credential.identity != nil { drainAll() }
            credential = ready.credential
            stage = .connecting(rest: ready.addresses[...], context: ready.context)
            if hasRoom { stage = .idle } else { connectToNext("the API server has no address") }
        }
        isRenewing = false
    }

    private var hasRoom: Bool { connections.values.contains { $0.hasRoom(isLasting: true) } }

    private func connectToNext(_ reason: String) {
        guard case .connecting(var rest, let context) = stage else { return }
        guard let address = rest.popFirst() else { return cannotConnect(reason) }
        stage = .connecting(rest: rest, context: context)
        let number = nextConnection
        nextConnection += 1
        do {
            let connection = try APIConnection(
                number: number, address: address, context: context, serverName: access.serverName, pools: pools,
                scratch: scratch, owner: self, now: now)
            try poller.watch(connection.descriptor, token: UInt64(number))
            connections[number] = connection
            connectionTimers[number] = timers.arm(after: timing.connect, .connection(number))
        } catch {
            connectToNext("\(error)")
        }
    }

    private func cannotConnect(_ reason: String) {
        stage = .waiting
        outage = reason
        reconnectTimer = timers.arm(after: connectBackOff.next(&random), .reconnect)
    }

    /// Why no connection could be made, once for each try.
    func takeOutage() -> String? {
        defer { outage = nil }
        return outage
    }

    private func drainAll() {
        for connection in connections.values where connection.isOpen { connection.drain() }
    }

    /// Reads from a connection once.
    /// - Returns: whether there may be more to read.
    func becameReady(_ number: Int) -> Bool {
        guard let connection = connections[number] else { return false }
        if connection.becameReady(at: now, second: timers.second) { return true }
        if connection.hasSecrets { connection.wipeBuffers() }
        return false
    }

    /// Sends what connections have to send, and ends those that have to.
    func flush() {
        for connection in connections.values { connection.flush() }
        let draining = connections.values.filter(\.isDraining).sorted { $0.number < $1.number }
        for connection in draining.dropLast(Self.mostDraining) {
            connection.close()
            closed(connection, reason: "the server asked for another connection")
        }
    }

    /// A timer of this client has fired.
    func fired(_ purpose: ClientTimers.Purpose) {
        switch purpose {
        case .call(let number): checkSilence(number)
        case .connection(let number):
            connectionTimers[number] = nil
            guard let connection = connections[number] else { return }
            let next = connection.checkLife(at: now, timing: timing)
            guard !connection.isClosed else { return }
            connectionTimers[number] = timers.arm(after: Int(max(next - now, 1)), .connection(number))
        case .reconnect:
            switch stage {
            case .waiting: stage = .idle
            case .preparing: preparationIsSlow()
            case .idle, .connecting: break
            }
        case .watcher: break
        }
    }

    /// Ends all connections; nothing more happens.
    func stop() {
        isStopped = true
        for connection in connections.values {
            poller.forget(connection.descriptor)
            connection.close()
        }
        connections = [:]
    }

    // MARK: credentials

    /// The server did not take the credentials. Several requests may say so of the same ones, and a plugin whose
    /// credentials are of no use must not run all the time.
    func renewCredentials() {
        guard case .idle = stage, now >= renewedAt + Int64(timing.tokenFile) else { return }
        renewedAt = now
        credential = nil
        renew()
    }

    private func renew() {
        isRenewing = true
        prepareIfIdle(keeping: nil)
    }

    /// Replaces credentials that end soon, and a token whose file was replaced. The old ones are used meanwhile.
    private func lookAtCredential() {
        guard let known = credential, case .idle = stage, now >= lookedAt + Int64(timing.tokenFile) else { return }
        lookedAt = now
        if known.isDue(at: timers.now.wall / 1000) { return renew() }
        if case .tokenFile(let path) = access.credential, FileStamp(path) != known.stamp { renew() }
    }
}

// MARK: what connections tell

extension APIClient: APIConnectionOwner {
    /// The connection takes requests from now on.
    func opened(_ connection: APIConnection) {
        stage = .idle
        if var timer = connectionTimers[connection.number] { timers.cancel(&timer) }
        connectionTimers[connection.number] = timers.arm(after: timing.pingAfter, .connection(connection.number))
    }

    /// A header section of an answer has come.
    func received(_ headers: HeaderBlock, for number: CallNumber) {
        guard let text = headers.first(.status)?.string, let status = Int(text), status >= 200, let call = calls[number]
        else { return }    // interim responses say nothing
        connectBackOff.reset()
        if status == 200, let form = Self.unreadableForm(headers) {
            finish(number, .failed(.streamEnded("the server answers in \(form), and JSON was asked for")))
            if let connection = call.connection { connections[connection]?.cancel(call.slot, call: number) }
            return
        }
        calls[number]?.status = status
        calls[number]?.retryAfter = headers.first(named: "retry-after").flatMap { Int($0.string) }
        if status == 200, call.request.form == .lines { calls[number]?.aliveAt = now }
        if status == 200, call.request.form == .lines { events.append((number, .opened)) }
    }

    /// What an answer is written in, if that is not JSON as it stands: a newer server has other forms, such as CBOR.
    /// nil also for an answer that does not say it.
    private static func unreadableForm(_ headers: HeaderBlock) -> String? {
        if let coding = headers.first(named: "content-encoding")?.string.lowercased(), coding != "identity" {
            return AnswerWords.printable(coding, most: 60)
        }
        guard let type = headers.first(named: "content-type")?.string.lowercased(),
            !type.hasPrefix("application/json")
        else { return nil }
        return AnswerWords.printable(type, most: 60)
    }

    /// Octets of an answer have come.
    func received(_ octets: Octets, for number: CallNumber) {
        guard let place = calls.index(forKey: number) else { return }
        let isTooLarge: Bool
        if calls.values[place].isStreaming {
            calls.values[place].aliveAt = now
            let isSecret = calls.values[place].request.isSecret
            var lines: [CallEvent] = []
            isTooLarge = !calls.values[place].received.lines.feed(octets) { line in
                lines.append(isSecret ? .secretLine(SecretOctets(wiping: &line)) : .line(line))
                return true
            }
            for line in lines { events.append((number, line)) }
        } else {
            let received = calls.values[place].received
            isTooLarge = received.body.count + octets.count > calls.values[place].limit
            if !isTooLarge { received.append(octets) }
        }
        guard isTooLarge else { return }
        let (connection, slot) = (calls.values[place].connection, calls.values[place].slot)
        finish(number, .failed(.tooLarge))
        if let connection { connections[connection]?.cancel(slot, call: number) }
    }

    /// The server has ended its answer.
    func finished(_ number: CallNumber) {
        guard let call = calls[number] else { return }
        guard let status = call.status else {
            return finish(number, .failed(.streamEnded("the server gave no answer")))
        }
        if call.isStreaming {
            let isWhole = !call.received.lines.isWithinLine
            return finish(
                number, isWhole ? .ended : .failed(.streamEnded("the server ended a watch within a line")))
        }
        if status == 200, call.request.isSecret { return finish(number, .secretAnswer(call.received.takeSecret())) }
        finish(number, .answer(APIAnswer(status: status, retryAfter: call.retryAfter, body: call.received.body)))
    }

    /// The server has reset the stream of a call.
    func broke(_ number: CallNumber, code: UInt32) {
        guard let call = calls[number] else { return }
        if code == ErrorCode.refusedStream, call.status == nil { return again(number) }
        finish(number, .failed(.streamEnded("the server reset the stream (code \(code) of HTTP/2)")))
    }

    /// The connection is over; calls that it had are failed, or made again.
    func closed(_ connection: APIConnection, reason: String) {
        poller.forget(connection.descriptor)
        connections[connection.number] = nil
        if var timer = connectionTimers.removeValue(forKey: connection.number) { timers.cancel(&timer) }
        for (number, call) in calls.sorted(by: { $0.key < $1.key }) where call.connection == connection.number {
            finish(number, .failed(.connectionLost(reason)))
        }
        if !connection.wasOpened { return connectToNext(reason) }
        // A server that ends each connection without an answer must not be called again at once.
        if !connection.hasAnswered, !connection.isDraining, case .idle = stage { cannotConnect(reason) }
    }

    /// Makes a request once more that the server has not begun.
    private func again(_ number: CallNumber) {
        guard let call = calls[number] else { return }
        if call.request.form != .lines { wholes -= 1 }
        if !call.request.isTimedFromStart, var timer = callTimers.removeValue(forKey: number) { timers.cancel(&timer) }
        calls[number]?.restart()
        queue.insert(number, at: 0)
    }
}
