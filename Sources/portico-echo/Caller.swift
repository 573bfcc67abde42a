internal import HTTP
internal import Octets
internal import Reactor
internal import TLS

/// Makes the calls of an `Order`: one thread, one epoll, a fixed number of connections.
///
/// Thread: the caller's. Freed by: the end of that thread.
final class Caller {
    /// How long a call may take without `--timeout`.
    private static let callTimeLimit = Duration.seconds(60)

    let order: Order
    let pools = MessagePools()
    let scratch = OctetBuffer(capacity: 65_536)
    /// What was counted so far.
    private(set) var report = Report()
    private let context: TLSClientContext?
    private let addresses: [SocketAddress]
    private let poller: Poller
    private var timers = TimerWheel(now: .now())
    private var connections: [CallConnection?]
    private var generations: [UInt32]    // of `connections`, so that a stale event is dropped
    private var connectionsMade = 0
    private var started = 0
    private var ended = 0

    init(_ order: Order, context: TLSClientContext?, addresses: [SocketAddress]) throws(SystemError) {
        self.order = order
        self.context = context
        self.addresses = addresses
        poller = try Poller()
        connections = Array(repeating: nil, count: min(order.connections, order.concurrency))
        generations = Array(repeating: 0, count: connections.count)
    }

    func run() {
        let begin = MonotonicTime.now()
        var due: ContiguousArray<UInt64> = []
        while ended < order.calls {
            for index in connections.indices where connections[index] == nil && started < order.calls { open(index) }
            guard ended < order.calls else { break }
            let count = poller.wait(milliseconds: timers.wait(now: .now()))
            for index in 0..<count {
                let token = poller[index].token
                let place = Int(token & 0xffff_ffff)
                guard generations[place] == UInt32(token >> 32) else { continue }
                connections[place]?.becameReady()
            }
            due.removeAll(keepingCapacity: true)
            timers.expire(now: .now(), into: &due)
            for token in due { connections[Int(token & 0xffff_ffff)]?.timerFired(Int(token >> 32)) }
            for token in due { connections[Int(token & 0xffff_ffff)]?.expired(Int(token >> 32)) }
        }
        report.end(nanoseconds: MonotonicTime.now().nanoseconds(since: begin))
    }

    // MARK: for connections

    /// How many calls the connection of that index makes at once.
    func concurrency(of index: Int) -> Int {
        let count = connections.count
        return order.concurrency / count + (index < order.concurrency % count ? 1 : 0)
    }

    /// Begins one more call.
    /// - Returns: its number, from 1; nil if all calls were made.
    func begin() -> Int? {
        guard started < order.calls else { return nil }
        started += 1
        return started
    }

    /// Enters a call that is over into the report, with the time since it was begun.
    func end(_ outcome: CallOutcome, since begin: MonotonicTime) {
        ended += 1
        report.add(
            host: outcome.host, status: outcome.status, message: outcome.message, reply: outcome.reply,
            nanoseconds: MonotonicTime.now().nanoseconds(since: begin))
    }

    /// Sets the time limit of a call, which is the order's or else the usual one. Whoever gets the answer calls
    /// `disarm`.
    func arm(connection: Int, call: Int) -> TimerWheel.TimerID {
        let deadline = MonotonicTime.now() + (order.timeout ?? Self.callTimeLimit)
        return timers.arm(at: deadline, token: UInt64(call) << 32 | UInt64(connection))
    }

    /// The call is over: its time limit is not needed any more.
    func disarm(_ timer: inout TimerWheel.TimerID) { timers.cancel(&timer) }

    /// Drops the connection of that index, which was closed. The next call opens another in its place.
    func close(_ index: Int) {
        generations[index] &+= 1
        connections[index] = nil
    }

    // MARK: inner steps

    private func open(_ index: Int) {
        do {
            let address = addresses[connectionsMade % max(addresses.count, 1)]
            connectionsMade += 1
            let name = HostAndPort(order.authority)?.host ?? order.authority
            let channel = try Channel(client: context, serverName: name, descriptor: try Socket.connect(address))
            let connection = CallConnection(channel, index: index, caller: self)
            connections[index] = connection
            try poller.watch(channel.descriptor, token: UInt64(generations[index]) << 32 | UInt64(index))
        } catch {
            connections[index] = nil
            fail("\(error)")
        }
    }

    /// Counts a connection that could not be made as a failed call, so that the run ends.
    func fail(_ reason: String) {
        guard begin() != nil else { return }
        end(CallOutcome(status: unansweredStatus, message: reason), since: .now())
    }

    /// The status of a call that no server answered, as gRPC clients report it.
    var unansweredStatus: Int { order.target.isGRPC ? Int(GRPC.Status.unavailable.rawValue) : Report.unanswered }
}

/// What one call came to.
struct CallOutcome {
    /// Whose reply came, where that is checked.
    enum Reply { case none, own, foreign }

    var host = ""
    var status: Int
    var message = ""
    var reply = Reply.none
}
