import Glibc
import Proxy
import Reactor
import Testing

@testable import Control
@testable import Routing

@Suite struct `Listeners over reloads` {
    private var directory = ListenerDirectory()
    private var options = ControlOptions()

    init() { options.listenMap = [80: 0, 81: 0] }    // the system chooses the port

    private static func listener(
        _ port: UInt16, _ bind: String = "127.0.0.1", isMesh: Bool = false
    ) -> ListenerPlan {
        ListenerPlan(bind: bind, port: port, isMesh: isMesh, clearTable: 0, chains: [])
    }

    private mutating func load(_ listeners: ListenerPlan...) -> [ListenerSockets] {
        directory.sockets(for: RoutingPlan(listeners: listeners), options: options).map(\.1)
    }

    private var failures: [String] { directory.failures.map { "\($0.listener.port): \($0.error)" } }

    @Test mutating func `keep their sockets`() throws {
        let first = load(Self.listener(80))
        let second = load(Self.listener(80), Self.listener(80, "127.0.0.2"))
        #expect(first.count == 1 && second.count == 2 && failures.isEmpty)
        #expect(second[0] === first[0])
        #expect(second[1].number != second[0].number)
        let third = load(Self.listener(80, "127.0.0.2"))
        #expect(third.count == 1 && third[0] === second[1])
    }

    @Test mutating func `get a new number when they come back`() throws {
        let first = load(Self.listener(80))[0]
        _ = load()
        let again = load(Self.listener(80))[0]
        #expect(again !== first && again.number != first.number)
    }

    @Test mutating func `are left out and reported when another program has the port`() throws {
        let other = try Socket.listen(try #require(SocketAddress(host: "127.0.0.1", port: 0)), sharing: .none)
        let port = try #require(Socket.localAddress(other.number)).port
        options.listenMap[82] = port
        #expect(load(Self.listener(82), Self.listener(80)).count == 1)
        #expect(failures.count == 1)
        let sentence = "82: cannot listen on 127.0.0.1:\(port): Address already in use; stop the program"
        #expect(failures[0].hasPrefix(sentence))
        #expect(other.number >= 0)
        #expect(load(Self.listener(80)).count == 1)
        #expect(failures.isEmpty)
    }

    @Test mutating func `never share one address`() {
        #expect(load(Self.listener(80), Self.listener(81)).count == 1)
        #expect(
            failures == [
                "81: 127.0.0.1:0 is wanted twice; --listen-map must not map two ports onto one"
            ])
    }

    @Test mutating func `may change their address on the same port`() throws {
        let free = try Socket.listen(try #require(SocketAddress(host: "127.0.0.1", port: 0)))
        options.listenMap[80] = try #require(Socket.localAddress(free.number)).port
        _ = consume free
        #expect(load(Self.listener(80, "0.0.0.0")).count == 1)
        #expect(load(Self.listener(80, "127.0.0.1")).count == 1)
        #expect(failures.isEmpty)
        #expect(load(Self.listener(80, "127.0.0.1"), Self.listener(80, "0.0.0.0")).count == 2)
        #expect(failures.isEmpty)
    }

    @Test mutating func `on paths are told apart, and shared by all workers`() throws {
        options.workers = 3
        let names = ["unix:@portico-test-\(getpid())-a", "unix:@portico-test-\(getpid())-b"]
        let sockets = load(Self.listener(0, names[0]), Self.listener(0, names[1]))
        #expect(failures.isEmpty)
        #expect(sockets.map(\.name) == names)
        #expect(Set((0..<3).map { sockets[0].descriptor(worker: $0) }).count == 1)
    }

    @Test mutating func `of names are refused`() {
        #expect(load(Self.listener(80, "localhost"), Self.listener(80, "unix:")).isEmpty)
        #expect(
            failures == [
                "80: localhost is no address to listen on", "80: unix: is no address to listen on",
            ])
    }

    @Test mutating func `of the mesh are there when the command line says where`() {
        #expect(load(Self.listener(0, "", isMesh: true)).isEmpty)
        options.mesh = SocketAddress(host: "127.0.0.1", port: 0)
        #expect(load(Self.listener(0, "", isMesh: true)).map(\.name) == ["127.0.0.1:0"])
    }
}
