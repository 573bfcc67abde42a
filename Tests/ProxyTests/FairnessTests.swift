import HTTP
import Octets
import Synchronization
import Testing

@testable import Proxy

/// Clients that send as much work as they can, beside one that sends little.
@Suite struct `A turn of a worker` {
    private static let get = "GET /n HTTP/1.1\r\nhost: a\r\n\r\n"
    private static let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    /// A client whose body comes in pieces with one Q each, and its endpoint's connection.
    private final class Flooder {
        private let piece: String
        private let client: Peer
        private let endpoint: Peer
        private var pending: [UInt8] = []
        private(set) var sent = 0
        private(set) var arrived = 0

        init(
            _ bench: Bench, _ server: Server, framing: String = "transfer-encoding: chunked",
            piece: String = "1\r\nQ\r\n"
        ) throws {
            self.piece = piece
            client = try bench.client(sending: "POST /f HTTP/1.1\r\nhost: a\r\n\(framing)\r\n\r\n\(piece)")
            endpoint = try #require(try server.accept())
            sent = 1
        }

        /// Sends that many pieces, as far as the kernel takes them.
        func send(_ count: Int) {
            if pending.isEmpty {
                pending = Array(String(repeating: piece, count: count).utf8)
                sent += count
            }
            let taken = unsafe pending.withUnsafeBytes { client.offer(unsafe Octets($0)) }
            pending.removeFirst(taken)
        }

        func drain() { arrived += endpoint.octets().count { $0 == UInt8(ascii: "Q") } }

        var isDone: Bool {
            if !pending.isEmpty { send(0) }
            drain()
            return arrived == sent
        }
    }

    /// - Parameter chunks: of each client in each turn: more than its quota, or less.
    @Test(arguments: [5000, 300])
    func `serves a client with little to do at once, and takes bounded work from the others`(chunks: Int) throws {
        let bench = try Bench()
        let server = try bench.server()
        let flooders = try (0..<12).map { _ in try Flooder(bench, server) }
        let neighbour = try bench.client(sending: Self.get)
        let endpoint = try #require(try server.accept())
        #expect(endpoint.text().hasPrefix("GET /n"))
        endpoint.send(Self.answer)
        bench.settle()
        #expect(neighbour.text().hasSuffix("ok"))
        var most: Int32 = 0
        for round in 0..<30 {
            for flooder in flooders { flooder.send(chunks) }
            neighbour.send(Self.get)
            bench.worker.turn(isHurried: true)
            most = max(most, bench.worker.services.pools.work)
            #expect(endpoint.text().hasPrefix("GET /n"), "it waits for others")
            endpoint.send(Self.answer)
            bench.worker.turn(isHurried: true)
            most = max(most, bench.worker.services.pools.work)
            #expect(neighbour.text().hasSuffix("ok"), "its answer waits for others")
            for flooder in flooders { flooder.drain() }
            if round < 2 { most = 0 }    // that they have much to do is known when they have been read once
        }
        #expect(most <= 4 * WorkBudget.quotaPerTurn, "\(most)")
        for _ in 0..<10_000 where flooders.contains(where: { !$0.isDone }) { bench.worker.turn(isHurried: true) }
        let rest = flooders.map { $0.sent - $0.arrived }
        #expect(rest.allSatisfy { $0 == 0 }, "something of a body is lost: \(rest)")
    }

    @Test func `accepts a bounded number of connections, and the others in the next ones`() throws {
        let bench = try Bench()
        let most = Listeners.acceptsPerTurn
        let crowd = try bench.crowd(2 * most + 5)
        for accepted in [most, 2 * most, 2 * most + 5] {
            bench.worker.turn(isHurried: true)
            #expect(bench.status.downstreamConnections.load(ordering: .relaxed) == accepted)
        }
        #expect(crowd.count == 2 * most + 5)
    }

    /// Whom the worker does not accept is reset by the kernel.
    @Test func `is the last one for a listener that closes: a bounded number is accepted`() throws {
        var limits = Limits()
        limits.turn.mostLastAccepts = 2
        let bench = try Bench(limits: limits)
        let most = 2 * Listeners.acceptsPerTurn
        let crowd = try bench.crowd(most + 5)
        bench.worker.listeners.close()
        #expect(bench.status.downstreamConnections.load(ordering: .relaxed) == most)
        let ended = crowd.count { peer in
            _ = peer.octets()
            return peer.isEnded
        }
        #expect(ended == 5)
    }

    @Test(arguments: [1, 2])
    func `writes a bounded part of what waits for a client, and the rest in the next ones`(writes: Int) throws {
        var limits = Limits()
        limits.turn.mostWrites = writes
        let octets = ConnectionOutput.octetsPerWrite * 5 / 4    // less than the kernel takes at a time
        let bench = try Bench(
            limits: limits,
            rule: "directResponse: {status: 200, body: {string: '\(String(repeating: "x", count: octets))'}}")
        let client = try bench.client()
        client.send(Self.get)
        bench.worker.turn(isHurried: true)
        let first = client.octets().count
        if writes == 1 { #expect(first > octets / 2 && first <= ConnectionOutput.octetsPerWrite) }
        if writes == 2 { #expect(first > octets) }
        #expect(bench.worker.hasMoreToDo == (writes == 1), "the worker sleeps before all is sent, or when it is")
        bench.settle()
        #expect((writes == 1) == !client.octets().isEmpty && !client.isEnded && !bench.worker.hasMoreToDo)
    }

    @Test func `answers as many requests that came together as it may write, and the others in the next ones`() throws {
        var limits = Limits()
        limits.turn.mostWrites = 2
        // So large that the next request is not read before it is sent.
        let body = String(repeating: "x", count: 70_000)
        let bench = try Bench(limits: limits, rule: "directResponse: {status: 418, body: {string: \(body)}}")
        let client = try bench.client()
        client.send(String(repeating: Self.get, count: 5))
        var answers: [Int] = []
        for _ in 0..<4 {
            bench.worker.turn(isHurried: true)
            answers.append(client.text().ranges(of: "HTTP/1.1 418").count)
        }
        #expect(answers.allSatisfy { $0 <= 2 } && answers.reduce(0, +) == 5, "\(answers)")
    }

    @Test func `reads a bounded part of a body, and the rest in the next ones`() throws {
        var limits = Limits()
        limits.turn.mostReads = 1
        let bench = try Bench(limits: limits)
        let server = try bench.server()
        let head = "POST /f HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n"
        let client = try bench.client(sending: head + "Q")
        let endpoint = try #require(try server.accept())
        #expect(endpoint.text().hasSuffix("Q"))
        client.send(String(repeating: "Q", count: 99_999))    // less than the kernel takes at a time
        bench.worker.turn(isHurried: true)
        let first = endpoint.octets().count
        #expect(first > 0 && first <= Connections.inputOctets && bench.worker.hasMoreToDo)
        bench.settle()
        #expect(first + endpoint.octets().count == 99_999)
    }

    @Test func `moves little of large bodies in a turn when many have one`() throws {
        let bench = try Bench()
        let server = try bench.server()
        let flooders = try (0..<8).map { _ in
            try Flooder(bench, server, framing: "content-length: 100000000", piece: "Q")
        }
        let neighbour = try bench.client(sending: Self.get)
        let endpoint = try #require(try server.accept())
        endpoint.send(Self.answer)
        bench.settle()
        var most = 0
        for round in 0..<30 {
            for flooder in flooders { flooder.send(400_000) }
            neighbour.send(Self.get)
            for isAsked in [true, false] {
                let before = flooders.reduce(0) { $0 + $1.arrived }
                bench.worker.turn(isHurried: true)
                for flooder in flooders { flooder.drain() }
                if round > 2 { most = max(most, flooders.reduce(-before) { $0 + $1.arrived }) }
                guard isAsked else { continue }
                #expect(endpoint.text().hasPrefix("GET /n"), "it waits for others")
                endpoint.send(Self.answer)
            }
            #expect(neighbour.text().hasSuffix("ok"), "its answer waits for others")
        }
        #expect(most > 0 && most <= 3 * 66_560, "\(most)")
    }

    /// Nothing is known of them yet, so that they are read at once; but what they may take of the turn is little.
    @Test func `takes little of each when many new clients come with many requests`() throws {
        let bench = try Bench(isHTTP2: true)
        let server = try bench.server()
        let neighbour = try bench.client(sending: Self.get)
        let endpoints = [HTTP2Peer(try #require(try server.accept()), isServer: true)]
        try serve(neighbour, by: endpoints, bench)
        let crowd = try (0..<20).map { _ in try bench.client() }
        let sessions = crowd.map { HTTP2Peer($0, isServer: false) }
        bench.settle()
        for session in sessions { for _ in 0..<Self.streams { try #require(session.request([:]) != nil) } }
        var most: Int32 = 0
        for _ in 0..<2000 where bench.active < crowd.count * Self.streams {
            bench.worker.turn(isHurried: true)
            most = max(most, bench.worker.services.pools.work)
        }
        #expect(bench.active == crowd.count * Self.streams)
        #expect(most <= 3 * WorkBudget.quotaPerTurn + Int32(crowd.count) * WorkBudget.leastQuota, "\(most)")
    }

    @Test func `passes on as much of an endpoint as its requests are worth, and the rest in the next ones`() throws {
        let bench = try Bench(isHTTP2: true)
        let server = try bench.server()
        let clients = try (0..<6).map { _ in HTTP2Peer(try bench.client(), isServer: false) }
        try #require(clients[0].request([:]) != nil)
        bench.settle()
        let socket = try #require(try server.accept())
        let endpoint = HTTP2Peer(socket, isServer: true, mostStreams: 1000)
        endpoint.exchange()
        bench.settle()
        for client in clients[1...] {
            for _ in 0..<Self.streams { client.finish(try #require(client.request([:]))) }
        }
        bench.settle()
        endpoint.exchange()
        #expect(endpoint.streams.count == 501)
        endpoint.answer(endpoint.streams, [":status": "200"])
        bench.worker.turn(isHurried: true)
        let most = WorkBudget.quota(ofAnswers: 501, used: 0)
        #expect(most == 5 * WorkBudget.quotaPerTurn)
        #expect((most...most + 400).contains(bench.worker.services.pools.work), "\(bench.worker.services.pools.work)")
        #expect((1...50).contains(bench.active), "\(bench.active)")
        bench.settle()
        #expect(bench.active == 0)
        // With one request it has no more of a turn than a client.
        try #require(clients[0].request([:]) != nil)
        bench.settle()
        endpoint.exchange()
        endpoint.answer(try #require(endpoint.streams.last), [":status": "200"], isEnd: false)
        let piece: [UInt8] = [0, 0, 1, 0, 0, 0, 0, 3, 235, UInt8(ascii: "Q")]    // DATA of stream 1003
        try #require(socket.push(Array(repeatElement(piece, count: 1000).joined())[...]) == 10_000)
        bench.worker.turn(isHurried: true)
        let usual = WorkBudget.quotaPerTurn
        #expect((usual...usual + 400).contains(bench.worker.services.pools.work), "\(bench.worker.services.pools.work)")
    }

    /// Else a burst of large answers makes turns of a millisecond.
    @Test(arguments: [50, 10])
    func `takes little at a time of large answers when an endpoint has many requests`(requests: Int) throws {
        let bench = try Bench(isHTTP2: true)
        let server = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        for _ in 0..<requests { client.finish(try #require(client.request([:]))) }
        bench.settle()
        let socket = try #require(try server.accept())
        let endpoint = HTTP2Peer(socket, isServer: true, mostStreams: 1000)
        endpoint.exchange()
        bench.settle()
        endpoint.exchange()
        try #require(endpoint.streams.count == requests)
        endpoint.answer(endpoint.streams, [":status": "200"], isEnd: false)
        bench.settle()
        let frames = (1...9).flatMap { number -> [UInt8] in
            [0, 0x40, 0, 0, 0, 0, 0, 0, UInt8(2 * number - 1)] + [UInt8](repeating: 7, count: 16_384)
        }
        try #require(socket.push(frames[...]) == frames.count)
        bench.worker.turn(isHurried: true)
        let isAll = TurnCost.passed(octets: frames.count) <= bench.worker.services.pools.work
        #expect(isAll == (requests == 10) && bench.worker.hasMoreToDo == (requests == 50))
    }

    @Test func `ends the requests of few clients when many leave at once`() throws {
        let bench = try Bench(isHTTP2: true)
        let server = try bench.server()
        let neighbour = try bench.client(sending: Self.get)
        var endpoints = [HTTP2Peer(try #require(try server.accept()), isServer: true)]
        try serve(neighbour, by: endpoints, bench)
        let leavers = try (0..<6).map { _ in try Leaver(bench, streams: Self.streams) }
        #expect(bench.active == leavers.count * Self.streams)
        endpoints[0].exchange()
        for leaver in leavers { leaver.leave() }
        var turns = 0
        while bench.active > 0, turns < 50 {
            let before = bench.active
            neighbour.send(Self.get)
            bench.worker.turn(isHurried: true)
            // One that had an event, and one that had to wait for its turn.
            #expect(before + 1 - bench.active <= 2 * Self.streams, "a turn ended the requests of many clients")
            // After many resets another connection takes the place of the first.
            if let next = try server.accept() { endpoints.append(HTTP2Peer(next, isServer: true)) }
            try serve(neighbour, by: endpoints, bench)
            turns += 1
        }
        #expect(bench.active == 0)
        #expect(turns < 50)
    }

    private static let streams = 100

    /// Answers the neighbour's request, which must have reached the endpoint.
    private func serve(_ neighbour: Peer, by endpoints: [HTTP2Peer], _ bench: Bench) throws {
        for endpoint in endpoints { endpoint.exchange() }
        bench.worker.turn(isHurried: true)
        for endpoint in endpoints { endpoint.exchange() }
        let endpoint = try #require(endpoints.last { !$0.streams.isEmpty })
        let stream = try #require(endpoint.streams.last)
        #expect(endpoint.seen(stream).first?.contains("/n") == true, "it waits for others")
        endpoint.answer(stream, [":status": "200", "content-length": "0"])
        bench.worker.turn(isHurried: true)
        #expect(neighbour.text().contains("200"), "its answer waits for others")
    }

    /// A client with requests that nobody answers, which leaves without a word.
    private final class Leaver {
        private let client: Peer
        private let session: HTTP2Peer

        init(_ bench: Bench, streams: Int) throws {
            client = try bench.client()
            session = HTTP2Peer(client, isServer: false)
            for _ in 0..<streams { try #require(session.request([:]) != nil) }
            bench.settle()
        }

        func leave() { client.close() }
    }
}
