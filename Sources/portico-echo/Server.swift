internal import HTTP
internal import Octets
internal import Reactor
internal import TLS

/// The work that a timer is for.
enum Reminder {
    case wake(Exchange)
    case refuseNewStreams(Connection)    // second step of the graceful end
    case close(Connection)
    case acceptAgain
    case drainEnded
}

/// An armed timer, and the token of its reminder.
struct Alarm {
    fileprivate var timer: TimerWheel.TimerID
    fileprivate var token: UInt64
    static let none = Alarm(timer: .none, token: 0)
}

/// The echo server: one thread, one epoll, all connections.
///
/// Thread: the main thread of `portico-echo`. Freed by: the end of the process.
final class Server {
    struct Listener {
        let descriptor: CInt    // owned by the server; closed when it drains
        let identity: Identity
    }

    private static let connectionLimit = 10_000
    private static let acceptsPerTurn = 64
    private static let drainLimit = Duration.seconds(30)
    private static let signalToken: UInt64 = 0
    private static let firstConnectionToken: UInt64 = 1000    // below: the listeners

    let pools = MessagePools()
    /// The buffer that connections read into; empty between events.
    let scratch = OctetBuffer(capacity: 65_536)
    let isVerbose: Bool
    private let tls: TLSSelector?
    private let poller: Poller
    private let signals: Signals
    private var listeners: [Listener] = []
    private var connections: [UInt64: Connection] = [:]
    private var nextToken = firstConnectionToken
    private var timers = TimerWheel(now: .now())
    private var reminders: [UInt64: Reminder] = [:]
    private var nextReminder: UInt64 = 1
    private var unread: Set<UInt64> = []    // connections that stopped before `wouldBlock`
    private var isDraining = false
    private var isOver = false

    init(tls: TLSSelector?, isVerbose: Bool) throws(SystemError) {
        self.tls = tls
        self.isVerbose = isVerbose
        signals = try Signals()
        poller = try Poller()
        try poller.watchReadable(signals.descriptor, token: Self.signalToken)
    }

    /// Opens a listener. Returns its address, with the port that the kernel chose for port 0.
    func listen(_ address: SocketAddress, identity: Identity) throws(SystemError) -> SocketAddress {
        let descriptor = try Socket.listen(address, sharing: .none).release()
        listeners.append(Listener(descriptor: descriptor, identity: identity))
        try poller.watchReadable(descriptor, token: UInt64(listeners.count))
        return Socket.localAddress(descriptor) ?? address
    }

    /// Serves until a signal ends it and the last connection is closed.
    func run() {
        var due: ContiguousArray<UInt64> = []
        while !isOver, !(isDraining && connections.isEmpty) {
            let wait = unread.isEmpty ? timers.wait(now: .now()) : 0
            let count = poller.wait(milliseconds: wait)
            for index in 0..<count { becameReady(poller[index].token) }
            let waiting = unread
            unread.removeAll(keepingCapacity: true)
            for token in waiting { connections[token]?.becameReady() }
            due.removeAll(keepingCapacity: true)
            timers.expire(now: .now(), into: &due)
            // They are taken out first, because the work of one may disarm another that is also due.
            for reminder in due.compactMap({ reminders.removeValue(forKey: $0) }) { remind(reminder) }
        }
    }

    // MARK: for connections

    /// Arms a timer for some work, in place of an earlier one.
    func arm(_ alarm: inout Alarm, after wait: Duration, _ reminder: Reminder) {
        disarm(&alarm)
        let token = nextReminder
        nextReminder += 1
        reminders[token] = reminder
        alarm = Alarm(timer: timers.arm(at: MonotonicTime.now() + wait, token: token), token: token)
    }

    /// Calls the work off. Without effect if it was begun, or none was set.
    func disarm(_ alarm: inout Alarm) {
        // A timer that has fired has no reminder, and its handle may already belong to another timer.
        if reminders.removeValue(forKey: alarm.token) != nil { timers.cancel(&alarm.timer) }
        alarm = .none
    }

    /// Lets a connection read on in the next turn.
    func readLater(_ token: UInt64) { unread.insert(token) }

    /// Drops a connection that was closed.
    func forget(_ connection: Connection) { connections[connection.token] = nil }

    /// Writes a line to standard output, if the server is verbose.
    func log(_ text: String) {
        if isVerbose { StandardStream.output.line(text) }
    }

    // MARK: inner steps

    private func becameReady(_ token: UInt64) {
        if token >= Self.firstConnectionToken {
            connections[token]?.becameReady()
        } else if token == Self.signalToken {
            while let signal = signals.next() { if signal == .terminate { terminate() } }
        } else {
            accept(listeners[Int(token) - 1])
        }
    }

    private func remind(_ reminder: Reminder) {
        switch reminder {
        case .wake(let exchange) where exchange.phase == .sleeping: exchange.connection.wake(exchange)
        case .wake: break
        case .refuseNewStreams(let connection): connection.refuseNewStreams()
        case .close(let connection): connection.close()
        case .acceptAgain: watchListeners()
        case .drainEnded: isOver = true
        }
    }

    private func accept(_ listener: Listener) {
        for _ in 0..<Self.acceptsPerTurn {
            let socket: CInt
            do throws(SystemError) {
                guard let accepted = try Socket.accept(listener.descriptor) else { return }
                socket = accepted.descriptor
            } catch {
                StandardStream.error.line("portico-echo: \(error)")
                return pauseAccepting()
            }
            guard connections.count < Self.connectionLimit else {
                Socket.close(socket)
                continue
            }
            open(socket, listener.identity)
        }
    }

    private func open(_ descriptor: CInt, _ identity: Identity) {
        let token = nextToken
        nextToken += 1
        do {
            let channel = try Channel(server: tls, descriptor: descriptor)
            let connection = Connection(channel, token: token, identity: identity, server: self)
            connections[token] = connection
            try poller.watch(descriptor, token: token)
        } catch {
            StandardStream.error.line("portico-echo: \(error)")
            connections[token]?.close()
        }
    }

    /// Accepts nothing for a second, because the process ran out of descriptors.
    private func pauseAccepting() {
        for listener in listeners { poller.forget(listener.descriptor) }
        var alarm = Alarm.none
        arm(&alarm, after: .seconds(1), .acceptAgain)
    }

    private func watchListeners() {
        guard !isDraining else { return }
        for (index, listener) in listeners.enumerated() {
            try? poller.watchReadable(listener.descriptor, token: UInt64(index + 1))
        }
    }

    private func terminate() {
        guard !isDraining else {
            isOver = true
            return
        }
        isDraining = true
        for listener in listeners {
            poller.forget(listener.descriptor)
            Socket.close(listener.descriptor)
        }
        var alarm = Alarm.none
        arm(&alarm, after: Self.drainLimit, .drainEnded)
        for connection in Array(connections.values) { connection.drain() }
    }
}
