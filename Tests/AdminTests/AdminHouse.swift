import Admin
import Octets
import Reactor
import Telemetry
import Testing

/// A server on free ports of 127.0.0.1, its poller, and a clock that is moved by hand.
final class AdminHouse {
    enum Door { case status, admin }

    let server: AdminServer
    private let poller: Poller
    private(set) var now = MonotonicTime.now()
    private let tally = Tally()
    private var clients: [AdminClient] = []

    init(
        metrics: String = "portico_up 1",
        reload: @escaping (@escaping (Bool, String) -> Void) -> Void = { $0(true, "reloaded") }
    ) throws {
        let address = try #require(SocketAddress(host: "127.0.0.1", port: 0))
        poller = try Poller()
        server = try AdminServer(
            status: address, admin: address, pages: AdminPage.examples(metrics: metrics, reload: reload), now: now,
            reached: { [tally] in tally.limits.append($0) })
        try server.watch(poller)
    }

    /// The limits that were reached so far, in order.
    var reached: [ReachedLimit] { tally.limits }

    private final class Tally {
        var limits: [ReachedLimit] = []
    }

    func client(_ door: Door) throws -> AdminClient {
        let address = door == .status ? server.statusAddress : server.adminAddress
        let client = AdminClient(descriptor: try Socket.connect(try #require(address)))
        clients.append(client)
        try turn(times: 2)
        return client
    }

    /// Clients that have connected and asked, before the server has taken a turn.
    func crowd(_ count: Int, asking request: String) throws -> [AdminClient] {
        let address = try #require(server.statusAddress)
        let crowd = try (0..<count).map { _ in AdminClient(descriptor: try Socket.connect(address)) }
        for client in crowd { client.send(request) }
        clients += crowd
        return crowd
    }

    /// Sends a request and waits for what comes back.
    func ask(_ client: AdminClient, _ request: String) throws -> String {
        client.forget()
        client.send(request)
        try turn(until: { client.hasHead })
        try turn(times: 3)
        return client.received
    }

    /// Closes the client's socket.
    func forget(_ client: AdminClient) { clients.removeAll { $0 === client } }

    func pass(_ time: Duration) {
        now = now + time
        server.expire(now: now)
    }

    /// Whether a new client gets an answer.
    func isServing() -> Bool {
        guard let client = try? client(.status) else { return false }
        return (try? ask(client, "GET /healthz/live HTTP/1.1\r\nHost: a\r\n\r\n"))?.hasSuffix("live\n") ?? false
    }

    func turn(times: Int) throws {
        for _ in 0..<times { turn(milliseconds: 1) }
    }

    /// Lets server and clients work until it is so; fails after ten seconds without.
    func turn(until isSo: () -> Bool, _ location: SourceLocation = #_sourceLocation) throws {
        let deadline = MonotonicTime.now() + .seconds(10)
        while !isSo() {
            try #require(MonotonicTime.now() < deadline, "waited too long", sourceLocation: location)
            turn(milliseconds: 5)
        }
    }

    private func turn(milliseconds: Int32) {
        let count = poller.wait(milliseconds: milliseconds)
        for index in 0..<count where AdminServer.owns(poller[index].token) {
            server.wake(poller[index].token, now: now)
        }
        for client in clients { client.receive() }
    }
}

/// The other side: raw octets over a socket that does not block.
final class AdminClient {
    private let descriptor: CInt
    private let unsent = OctetBuffer()
    private let buffer = OctetBuffer()
    private(set) var isClosed = false    // the server has ended or reset the stream
    var isReading = true

    init(descriptor: CInt) { self.descriptor = descriptor }
    deinit { Socket.close(descriptor) }

    var received: String { buffer.octets.string }
    var hasHead: Bool {
        let octets = buffer.octets.prefix(2048)
        return (0..<max(octets.count - 3, 0)).contains { octets.dropFirst($0).hasPrefix("\r\n\r\n") }
    }

    func send(_ text: String) { send(octets: Array(text.utf8)) }
    func send(octets: [UInt8]) {
        unsafe octets.withUnsafeBytes { unsafe unsent.append(Octets($0)) }
        push()
    }

    func finish() { Socket.finish(descriptor) }
    func forget() { buffer.clear() }

    func receive() {
        push()
        while isReading, !isClosed {
            switch Socket.read(descriptor, into: buffer, most: 65_536) {
            case .octets: break
            case .wouldBlock: return
            case .closed, .failed: isClosed = true
            }
        }
    }

    private func push() {
        while !unsent.isEmpty, case .octets(let count) = Socket.write(descriptor, unsent.octets) {
            unsent.take(count)
        }
    }
}
