import Balancing
import Glibc
import HTTP
import Octets
import Reactor
import Synchronization
import TLS
import Testing

@testable import Proxy
@testable import Telemetry

/// Connections in clear text that are relayed by the bench's one route.
@Suite struct `A relayed connection` {
    private static func bench(_ limits: Limits = Limits(), servers: Int = 1) throws -> Bench {
        try Bench(limits: limits, servers: servers, relays: ListenerRelays(clear: 0))
    }

    /// A bench with a relay that is connected on both sides.
    private func connected(
        _ limits: Limits = Limits()
    ) throws -> (bench: Bench, server: Server, client: Peer, endpoint: Peer) {
        let bench = try Self.bench(limits)
        let server = try bench.server()
        let client = try bench.client()
        let endpoint = try #require(try server.accept())
        bench.settle()
        return (bench, server, client, endpoint)
    }

    /// How relays have ended, by the log's flag.
    private func endings(_ bench: Bench) -> [String: UInt64] {
        var found: [String: UInt64] = [:]
        bench.metrics.relays.readEndings { found[$1.rawValue, default: 0] += $2 }
        return found
    }

    private func octets(_ bench: Bench) -> (up: UInt64, down: UInt64) {
        var sum: (up: UInt64, down: UInt64) = (0, 0)
        bench.metrics.relays.readOctets { sum = (sum.up + $1, sum.down + $2) }
        return sum
    }

    private func gauge(_ bench: Bench) -> UInt64 { bench.metrics.relays.active }

    @Test func `passes octets on, also those of an endpoint that speaks first`() throws {
        let (bench, _, client, endpoint) = try connected()
        endpoint.send("220 ready\r\n")
        bench.settle()
        #expect(client.text() == "220 ready\r\n" && gauge(bench) == 1)
        client.send("\u{16}\u{3}\0 or anything")
        bench.settle()
        #expect(endpoint.text() == "\u{16}\u{3}\0 or anything")
        #expect(octets(bench) == (up: 15, down: 11))
        #expect(endings(bench) == [:])
    }

    @Test func `has its ends passed on one by one, and is over with the second`() throws {
        let (bench, _, client, endpoint) = try connected()
        client.send("question")
        client.finish()
        bench.settle()
        #expect(endpoint.text() == "question" && endpoint.isEnded && !client.isEnded)
        endpoint.send("answer")
        bench.settle()
        #expect(client.text() == "answer" && !client.isEnded)
        endpoint.finish()
        bench.settle()
        #expect(client.octets() == [] && client.isEnded)
        #expect(endings(bench) == ["-": 1] && gauge(bench) == 0)
        #expect(bench.endpoints[0].active == 0)
    }

    @Test func `may be ended by the endpoint first, while the client goes on`() throws {
        let (bench, _, client, endpoint) = try connected()
        endpoint.send("bye")
        endpoint.finish()
        bench.settle()
        #expect(client.text() == "bye" && client.isEnded)
        client.send("still here")
        bench.settle()
        #expect(endpoint.text() == "still here" && !endpoint.isEnded)
        client.finish()
        bench.settle()
        #expect(endpoint.octets() == [] && endpoint.isEnded && endings(bench) == ["-": 1])
    }

    @Test(arguments: [true, false])
    func `holds little for a side that does not read, and loses nothing`(isUp: Bool) throws {
        let (bench, _, client, endpoint) = try connected()
        let (from, to) = isUp ? (client, endpoint) : (endpoint, client)
        let all = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        var sent = 0
        var stuck = 0
        while stuck < 5 {
            let count = from.push(all[sent...])
            sent += count
            stuck = count == 0 ? stuck + 1 : 0
            bench.settle()
        }
        #expect(sent > 0 && sent < all.count)
        var held = 0
        bench.worker.loop.forEachConnection { held += $0.waitingOctets }
        #expect(held > 0 && held <= PipePool.pipeOctets && bench.metrics.value(.relayBuffer) > 0)
        var received: [UInt8] = []
        var hasFinished = false
        while !to.isEnded {
            received += to.octets()
            if sent < all.count {
                sent += from.push(all[sent...])
            } else if !hasFinished {
                from.finish()
                hasFinished = true
            }
            bench.settle()
        }
        #expect(received == all)
        held = 0
        bench.worker.loop.forEachConnection { held += $0.waitingOctets }
        #expect(held == 0)
    }

    /// Nothing else of the client's comes that could be an event.
    @Test(arguments: [true, false])
    func `passes an end on that comes alone, while octets wait for the other side`(isUp: Bool) throws {
        let (bench, _, client, endpoint) = try connected()
        let (from, to) = isUp ? (client, endpoint) : (endpoint, client)
        let piece = [UInt8](repeating: 7, count: 1000)
        var (sent, received) = (0, 0)
        for _ in 0..<10_000 {
            sent += from.push(piece[...])
            bench.settle()
            var held = 0
            bench.worker.loop.forEachConnection { held += $0.waitingOctets }
            guard held == 0 else { break }
        }
        from.finish()
        bench.settle()
        for _ in 0..<10_000 where !to.isEnded {
            received += to.octets().count
            bench.settle()
        }
        #expect(to.isEnded && received == sent)
    }

    /// The answer may be long in coming, and nobody waits for it.
    @Test(arguments: [true, false])
    func `ends when a side is lost that has ended before`(isClient: Bool) throws {
        let (bench, _, client, endpoint) = try connected()
        let (lost, other) = isClient ? (client, endpoint) : (endpoint, client)
        lost.finish()
        bench.settle()
        #expect(other.octets() == [] && other.isEnded && gauge(bench) == 1)
        other.send("unread")    // closed with these, the kernel says that the connection is reset
        bench.settle()
        lost.close()
        bench.settle()
        #expect(gauge(bench) == 0 && endings(bench).values.reduce(0, +) == 1)
    }

    @Test(arguments: [true, false])
    func `passes a bounded part of much on in a turn, and the rest in the next ones`(isUp: Bool) throws {
        var limits = Limits()
        limits.turn.mostRelayReads = 1
        let (bench, _, client, endpoint) = try connected(limits)
        let (from, to) = isUp ? (client, endpoint) : (endpoint, client)
        let all = [UInt8](repeating: 7, count: Relays.inputOctets * 5 / 4)    // less than the kernel takes at a time
        #expect(from.push(all[...]) == all.count)
        bench.worker.turn(isHurried: true)
        let first = to.octets().count
        #expect(first > 0 && first <= Relays.inputOctets)
        bench.settle()
        #expect(first + to.octets().count == all.count)
    }

    /// Small pieces cost more than large ones, so a relay waits for a turn with room, and is not cut.
    @Test(arguments: [true, false])
    func `gives way in a long turn, and serves at once what has little`(isUp: Bool) throws {
        let bench = try Self.bench()
        let server = try bench.server()
        var busy = try (0..<100).map { _ in (try bench.client(), try #require(try server.accept())) }
        if !isUp { busy = busy.map { ($0.1, $0.0) } }
        let (neighbour, endpoint) = (try bench.client(), try #require(try server.accept()))
        let all = [UInt8](repeating: 7, count: 2 * Relays.inputOctets)
        let first = WorkBudget.quotaPerTurn + 102 * TurnCost.relayed(octets: Connections.crowdedOctets)
        var sent = 0
        var arrived = Array(repeating: 0, count: busy.count)
        func turn(_ most: Int32) {
            bench.worker.turn(isHurried: true)
            #expect(bench.worker.services.pools.work <= most + WorkBudget.quotaPerTurn / 2)
            for (index, (_, to)) in busy.enumerated() { arrived[index] += to.octets().count }
        }
        for round in 0..<200 {
            for (from, _) in busy { sent += from.push(all[...]) }
            neighbour.send("question")
            turn(round < 100 ? first : WorkBudget.quotaPerTurn)    // it is not known yet who has much
            #expect(endpoint.text() == "question", "it waits for others")
        }
        #expect(arrived.min() ?? 0 > 0 && arrived.max() ?? 0 <= 4 * (arrived.min() ?? 0), "one is preferred")
        for _ in 0..<1000 where arrived.reduce(0, +) < sent { turn(WorkBudget.quotaPerTurn) }
        #expect(arrived.reduce(0, +) == sent, "octets are lost")
    }

    @Test func `tries another endpoint while nothing was sent`() throws {
        let bench = try Self.bench(servers: 3)
        let server = try bench.server(2)    // the other two do not listen
        for _ in 0..<3 {
            let client = try bench.client()
            client.send("hello")
            bench.settle()
            let endpoint = try #require(try server.accept())
            #expect(endpoint.text() == "hello" && !client.isEnded)
        }
        #expect(bench.endpoints.map(\.active) == [0, 0, 3])
        #expect(bench.metrics.tries(endpoint: bench.endpoints[2].number) == 3)
    }

    @Test func `is closed when no endpoint accepts, or there is none`() throws {
        let bench = try Self.bench(servers: 2)
        let client = try bench.client()
        #expect(client.octets() == [] && client.isEnded)
        #expect(endings(bench) == ["UF": 1] && bench.endpoints.map(\.active) == [0, 0])
        bench.cluster.publish(EndpointList([]))
        #expect(try bench.client().octets() == [])
        #expect(endings(bench) == ["UF": 1, "UH": 1])
    }

    @Test func `is closed when its endpoint has as many connections as it may`() throws {
        var limits = Limits()
        limits.upstreamConnections = 1
        let (bench, server, first, _) = try connected(limits)
        let second = try bench.client()
        #expect(second.octets() == [] && second.isEnded && endings(bench) == ["UO": 1])
        first.close()
        bench.settle()
        _ = try server.accept()
        #expect(bench.metrics.value(.upstreamConnections) == 1)
    }

    @Test func `is given up when nothing comes from either side for too long`() throws {
        var limits = Limits()
        limits.relayIdleTimeout = .seconds(10)
        let (bench, _, client, endpoint) = try connected(limits)
        for turn in 0..<3 {
            bench.pass(.seconds(9))
            if turn % 2 == 0 { client.send("x") } else { endpoint.send("y") }
            bench.settle()
            #expect(gauge(bench) == 1)
        }
        bench.pass(.seconds(10))
        #expect(endpoint.text() == "xx" && endpoint.isEnded && client.text() == "y" && client.isEnded)
        #expect(bench.metrics.value(.relayIdleTimeout) == 1 && gauge(bench) == 0)
    }

    @Test func `breaks off when one side does, so that nobody takes a part for the whole`() throws {
        let (bench, _, client, endpoint) = try connected()
        endpoint.send("unread by the client")
        bench.settle()
        client.close()    // with octets unread, which resets the connection
        bench.settle()
        endpoint.send("more")
        bench.settle()
        #expect(endpoint.octets() == [] && endpoint.isEnded)
        #expect(endings(bench) == ["DC": 1] && gauge(bench) == 0)
    }

    @Test func `gives the client what an endpoint had sent before it broke`() throws {
        let (bench, _, client, endpoint) = try connected()
        client.send("unread by the endpoint")
        bench.settle()
        endpoint.send("last words")
        endpoint.close()
        bench.settle()
        #expect(client.text() == "last words" && client.isEnded)
        #expect(gauge(bench) == 0)
    }

    @Test func `outlives its configuration and the steps of a drain`() throws {
        let (bench, _, client, endpoint) = try connected()
        bench.publishEmpty()
        bench.post(.announceShutdown)
        bench.post(.refuseNewStreams)
        bench.post(.closeListeners)
        client.send("still")
        endpoint.send("here")
        bench.settle()
        #expect(endpoint.text() == "still" && client.text() == "here")
        bench.worker.connections.closeAll()
        #expect(client.octets() == [] && client.isEnded && endpoint.octets() == [] && endpoint.isEnded)
        #expect(endings(bench) == ["-": 1] && gauge(bench) == 0)
    }

    @Test func `is told that its client is gone while it waits for the endpoint`() throws {
        var limits = Limits()
        limits.connectTimeout = .seconds(3)
        let bench = try Self.bench(limits)
        let client = try bench.client()    // nobody listens: refused at once
        #expect(client.octets() == [] && client.isEnded)
        #expect(bench.status.downstreamConnections.load(ordering: .relaxed) == 0)
    }

    @Test func `is given up by memory when its client does not read`() throws {
        let (bench, _, client, endpoint) = try connected()
        let piece = [UInt8](repeating: 7, count: 100_000)
        for _ in 0..<20 {
            _ = endpoint.push(piece[...])
            bench.settle()
        }
        let hoards = Hoards(
            services: bench.worker.services, connections: bench.worker.connections, exchanges: bench.worker.exchanges)
        #expect(hoards.giveUp(1, stuckOnly: false) > 0)
        bench.settle()
        #expect(endings(bench) == ["OM": 1])
        _ = client.octets()
        #expect(client.isEnded)
    }
}

/// TLS that is passed on by its server name.
@Suite struct `A connection that keeps its TLS` {
    private static func bench(_ limits: Limits = Limits(), clear: Int? = nil) throws -> Bench {
        try Bench(
            limits: limits, relays: ListenerRelays(clear: clear),
            selector: TLSSelector(chains: [], passed: [(["a.com", "*.b.com"], 0)], closed: [["closed.b.com"]]))
    }

    private func refusals(_ bench: Bench, _ reason: HandshakeReason) -> UInt64 {
        bench.metrics.value(.handshake(reason), .downstream)
    }

    private static func number(_ value: Int, _ octets: Int) -> [UInt8] {
        (0..<octets).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }

    /// A record with a ClientHello.
    private static func hello(_ name: String?, padding: Int = 0) -> [UInt8] {
        func list(_ octets: [UInt8], _ length: Int) -> [UInt8] { number(octets.count, length) + octets }
        var extensions: [UInt8] = [0, 21] + list([UInt8](repeating: 0, count: padding), 2)
        if let name { extensions += [0, 0] + list(list([0] + list(Array(name.utf8), 2), 2), 2) }
        let random = [UInt8](repeating: 1, count: 32)
        let body = [3, 3] + random + list([], 1) + list([0x13, 1], 2) + list([0], 1) + list(extensions, 2)
        let message = [1] + list(body, 3)
        return stride(from: 0, to: message.count, by: 16_000).flatMap { start in
            [0x16, 3, 1] + list(Array(message[start..<min(start + 16_000, message.count)]), 2)
        }
    }

    @Test(arguments: [1, 3, 7, 50, .max])
    func `has its ClientHello go first, octet by octet as it came`(piece: Int) throws {
        let bench = try Self.bench()
        let server = try bench.server()
        let client = try bench.client()
        let hello = Self.hello("x.b.com")
        var index = 0
        while index < hello.count {
            let end = piece > hello.count - index ? hello.count : index + piece
            index += client.push(hello[index..<end])
            bench.settle()
        }
        let endpoint = try #require(try server.accept())
        #expect(endpoint.octets() == hello)
        client.send("and more")
        endpoint.send("back")
        bench.settle()
        #expect(endpoint.text() == "and more" && client.text() == "back")
        #expect(bench.worker.listeners.handshakes.count == 0)
    }

    @Test func `is closed when its name is unknown, closed or missing`() throws {
        let bench = try Self.bench()
        let server = try bench.server()
        for name in ["c.com", "closed.b.com", "b.com", nil] as [String?] {
            let client = try bench.client()
            _ = client.push(Self.hello(name)[...])
            bench.settle()
            #expect(client.octets() == [] && client.isEnded)
        }
        #expect(refusals(bench, .unknownServerName) == 3 && refusals(bench, .noServerName) == 1)
        #expect(try server.accept() == nil && bench.worker.listeners.handshakes.count == 0)
    }

    @Test func `goes where clear text goes when its name is unknown and the port carries TCP`() throws {
        let bench = try Self.bench(clear: 0)
        let server = try bench.server()
        let client = try bench.client()
        _ = client.push(Self.hello("c.com")[...])
        bench.settle()
        #expect(try #require(try server.accept()).octets() == Self.hello("c.com"))
        let clear = try bench.client(sending: "clear text")
        #expect(try #require(try server.accept()).text() == "clear text" && !clear.isEnded)
        let closed = try bench.client()
        _ = closed.push(Self.hello("closed.b.com")[...])
        bench.settle()
        #expect(closed.octets() == [] && closed.isEnded)
    }

    @Test func `is closed when it is no TLS, or too much of it`() throws {
        let bench = try Self.bench()
        let http = try bench.client(sending: "GET / HTTP/1.1\r\n\r\n")
        #expect(http.text().hasPrefix("HTTP/1.1 400 "))
        for text in ["\u{16}GARBAGE", "\u{16}\u{3}\u{1}\0\0", "\u{3}\u{1}"] {
            let client = try bench.client(sending: text)
            #expect(client.octets() == [] && client.isEnded, "\(text)")
        }
        let large = try bench.client()
        let hello = Self.hello("a.com", padding: 40_000)
        var sent = 0
        while sent < hello.count, !large.isEnded {
            sent += max(large.push(hello[sent...]), 1)
            bench.settle()
            _ = large.octets()
        }
        #expect(large.isEnded)
        #expect(refusals(bench, .plainHTTP) == 1 && refusals(bench, .notTLS) + refusals(bench, .other) == 4)
        #expect(bench.worker.listeners.handshakes.count == 0)
    }

    @Test func `has little time for its ClientHello, and few others at once`() throws {
        var limits = Limits()
        limits.helloTimeout = .seconds(2)
        limits.handshakesAtOnce = 2
        let bench = try Self.bench(limits)
        var clients: [Peer] = []
        for _ in 0..<3 {
            let client = try bench.client()
            _ = client.push(Self.hello("a.com").prefix(9))
            bench.settle()
            clients.append(client)
        }
        _ = clients[0].octets()
        #expect(clients[0].isEnded && refusals(bench, .tooMany) == 1)
        bench.pass(.seconds(1))
        _ = clients[1].push(Self.hello("a.com")[9..<12])    // no octet gives it more time
        bench.pass(.milliseconds(1100))
        for client in clients { _ = client.octets() }
        #expect(clients.allSatisfy(\.isEnded) && refusals(bench, .timedOut) == 2)
        let gone = try bench.client()
        _ = gone.push(Self.hello("a.com").prefix(20))
        bench.settle()
        gone.close()
        bench.settle()
        #expect(refusals(bench, .closed) == 1 && bench.worker.listeners.handshakes.count == 0)
    }
}
