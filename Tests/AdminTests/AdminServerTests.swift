import Reactor
import Telemetry
import Testing

@testable import Admin

/// Raw octets over loopback; the server's loop and the clients share the test's thread.
@Suite struct `The admin server` {
    @Test func `answers, and keeps the connection for the next request`() throws {
        let house = try AdminHouse()
        let client = try house.client(.status)
        #expect(
            try house.ask(client, "GET /healthz/ready HTTP/1.1\r\nHost: localhost\r\n\r\n") == """
                HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 17\r\n\
                cache-control: no-store\r\nx-content-type-options: nosniff\r\n\r\nserving 3 routes\n
                """)
        let second = try house.ask(client, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        #expect(second.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"))
        #expect(second.hasSuffix("\r\n\r\nportico_up 1\n"))
        #expect(!client.isClosed)
    }

    @Test func `answers health checks of HTTP/1.0 without a host, on the status listener`() throws {
        let house = try AdminHouse()
        let check = try house.client(.status)
        let answer = try house.ask(check, "GET /healthz/ready HTTP/1.0\r\n\r\n")
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n") && answer.contains("connection: close\r\n"))
        let admin = try house.client(.admin)
        #expect(try house.ask(admin, "GET /routes HTTP/1.0\r\n\r\n").hasPrefix("HTTP/1.1 400 "))
        let newer = try house.client(.status)
        #expect(try house.ask(newer, "GET /healthz/ready HTTP/1.1\r\n\r\n").hasPrefix("HTTP/1.1 400 "))
    }

    @Test func `closes idle connections when another process listens, and answers the others`() throws {
        let house = try AdminHouse()
        let idle = try house.client(.status)
        _ = try house.ask(idle, "GET /healthz/live HTTP/1.1\r\nHost: a\r\n\r\n")
        let busy = try house.client(.status)
        busy.send("GET /healthz/live HTTP/1.1\r\n")
        try house.turn(times: 5)
        house.server.stopListening()
        try house.turn(until: { idle.isClosed })
        busy.send("Host: a\r\n\r\n")
        try house.turn(until: { busy.isClosed })
        #expect(busy.received.hasPrefix("HTTP/1.1 200 OK\r\n") && busy.received.contains("connection: close\r\n"))
        #expect(house.server.sockets.isEmpty)
    }

    @Test func `accepts a bounded number of connections in a turn, and the others in the next ones`() throws {
        let house = try AdminHouse()
        let most = AdminServer.acceptsPerTurn
        let crowd = try house.crowd(3 * most, asking: "GET /healthz/live HTTP/1.1\r\nHost: a\r\n\r\n")
        var served = 0
        for _ in 0..<2 {
            try house.turn(times: 1)
            let now = crowd.count(where: \.hasHead)
            #expect(now - served <= most)
            served = now
        }
        #expect(served <= most, "the first turn accepts, the second one answers, and accepts as many")
        try house.turn(until: { crowd.allSatisfy(\.hasHead) })
    }

    @Test func `closes when the client asks for it`() throws {
        let house = try AdminHouse()
        let client = try house.client(.admin)
        let answer = try house.ask(
            client, "GET /routes?format=json HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n")
        #expect(answer.contains("connection: close\r\n") && answer.hasSuffix("\r\n\r\nroutes json\n"))
        try house.turn(until: { client.isClosed })
    }

    @Test func `leaves the body out for HEAD`() throws {
        let house = try AdminHouse()
        let client = try house.client(.status)
        let answer = try house.ask(client, "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n") && answer.contains("content-length: 13\r\n"))
        #expect(answer.hasSuffix("\r\n\r\n"))
    }

    @Test func `reads a request however small its pieces are`() throws {
        let house = try AdminHouse()
        let client = try house.client(.admin)
        let request = "POST /reload HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        for octet in request.utf8 {
            #expect(client.received.isEmpty)
            client.send(String(UnicodeScalar(octet)))
            try house.turn(times: 1)
        }
        try house.turn(until: { client.received.hasSuffix("\r\n\r\nreloaded\n") })
    }

    @Test func `answers pipelined requests in order`() throws {
        let house = try AdminHouse()
        let client = try house.client(.admin)
        let targets = ["/routes", "/healthz/live", "/nothing", "/config"]
        client.send(targets.map { "GET \($0) HTTP/1.1\r\nHost: localhost\r\n\r\n" }.joined())
        try house.turn(until: { client.received.hasSuffix("\r\n\r\nconfig text\n") })
        let codes = client.received.split(whereSeparator: \.isNewline).compactMap { line in
            line.split(separator: "HTTP/1.1 ", omittingEmptySubsequences: false).dropFirst().first.map { $0.prefix(3) }
        }
        #expect(codes == ["200", "200", "404", "200"])
    }

    @Test func `says goodbye after a hundred requests`() throws {
        let house = try AdminHouse()
        let client = try house.client(.status)
        client.send(String(repeating: "GET /healthz/live HTTP/1.1\r\nHost: localhost\r\n\r\n", count: 150))
        try house.turn(until: { client.isClosed })
        #expect(client.received.split(separator: "live\n").count == 100)
        #expect(house.reached == [.adminRequests])
    }

    @Test(arguments: [
        ("GET / HTTP/1.0\r\n\r\n", 400), ("GET /\r\n\r\n", 426), ("GET / HTTP/3.0\r\nHost: localhost\r\n\r\n", 505),
        ("\u{16}\u{3}\u{1}", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n\r\n", 400),
        ("GET /\u{1} HTTP/1.1\r\nHost: localhost\r\n\r\n", 400), ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n", 413),
        ("POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400),
        ("POST /reload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("POST /reload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + String(repeating: "a", count: 9000) + "\r\n\r\n", 431),
        (String(repeating: "G", count: 9000), 431),
    ])
    func `refuses what is malformed or too large, and closes`(request: String, status: Int) throws {
        let house = try AdminHouse()
        let client = try house.client(.admin)
        client.send(request)
        try house.turn(until: { client.isClosed })
        #expect(client.received.hasPrefix("HTTP/1.1 \(status) "), "\(client.received)")
        #expect(client.received.contains("connection: close\r\n"))
        #expect(house.isServing())
        #expect(house.reached == (status == 431 || status == 413 ? [.adminRequestOctets] : []))
    }

    @Test func `refuses a body that grows too large`() throws {
        let house = try AdminHouse()
        let client = try house.client(.admin)
        client.send("POST /reload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in 0..<9 {
            client.send("2000\r\n" + String(repeating: "x", count: 8192) + "\r\n")
            try house.turn(times: 3)
        }
        try house.turn(until: { client.received.hasPrefix("HTTP/1.1 413 ") })
        #expect(house.reached == [.adminRequestOctets])
    }

    @Test func `tells a client that waits to go on`() throws {
        let house = try AdminHouse()
        let client = try house.client(.admin)
        client.send("POST /reload HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        try house.turn(until: { client.received == "HTTP/1.1 100 Continue\r\n\r\n" })
        client.send("{}")
        try house.turn(until: { client.received.hasSuffix("\r\n\r\nreloaded\n") })
    }

    @Test func `serves others while a reload takes its time`() throws {
        var ends: [(Bool, String) -> Void] = []
        let house = try AdminHouse(reload: { ends.append($0) })
        let client = try house.client(.admin)
        let requests = ["POST /reload", "GET /config"].map { "\($0) HTTP/1.1\r\nHost: localhost\r\n\r\n" }
        client.send(requests.joined())
        try house.turn(until: { ends.count == 1 })
        #expect(house.isServing())
        #expect(client.received.isEmpty)
        ends[0](false, "it was bad")
        try house.turn(until: { client.received.hasSuffix("\r\n\r\nconfig text\n") })
        #expect(client.received.hasPrefix("HTTP/1.1 500 ") && client.received.contains("\r\n\r\nit was bad\n"))
    }

    @Test func `forgets a client that left before its reload ended`() throws {
        var ends: [(Bool, String) -> Void] = []
        let house = try AdminHouse(reload: { ends.append($0) })
        let client = try house.client(.admin)
        client.send("POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try house.turn(until: { ends.count == 1 })
        house.forget(client)
        house.pass(.seconds(601))
        #expect(house.reached == [.adminTime])
        ends[0](true, "reloaded")
        #expect(house.isServing())
    }

    @Test func `answers on the admin listener to its own names only`() throws {
        let house = try AdminHouse()
        let client = try house.client(.admin)
        #expect(try house.ask(client, "GET /config HTTP/1.1\r\nHost: evil.example\r\n\r\n").hasPrefix("HTTP/1.1 421 "))
        let forged = "POST /reload HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\r\n"
        #expect(try house.ask(client, forged).hasPrefix("HTTP/1.1 403 "))
        let status = try house.client(.status)
        #expect(try house.ask(status, "GET /metrics HTTP/1.1\r\nHost: pod.example\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
    }

    @Test func `answers a client that has ended its side`() throws {
        let house = try AdminHouse()
        let client = try house.client(.status)
        client.send("GET /healthz/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.finish()
        try house.turn(until: { client.isClosed })
        #expect(client.received.hasSuffix("\r\n\r\nlive\n"))
    }

    @Test(arguments: [("", 75), ("GET / HT", 10), ("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 30)])
    func `ends what takes too long`(request: String, seconds: Int) throws {
        // More than the kernel takes of an answer that nobody reads.
        let house = try AdminHouse(metrics: String(repeating: "m", count: 8 << 20))
        let client = try house.client(.status)
        client.isReading = false
        client.send(request)
        try house.turn(times: 20)
        house.pass(.milliseconds(seconds * 1000 - 100))
        #expect(house.server.wait(now: house.now) > 0)
        house.pass(.milliseconds(200))
        #expect(house.server.wait(now: house.now) == -1)
        client.isReading = true
        try house.turn(until: { client.isClosed })
        #expect(house.isServing())
        #expect(house.reached == [seconds == 75 ? .adminIdleTime : .adminTime])
    }

    @Test func `gives a client no longer to read an answer that took its time than another`() throws {
        var ends: [(Bool, String) -> Void] = []
        let house = try AdminHouse(reload: { ends.append($0) })
        let client = try house.client(.admin)
        client.isReading = false
        client.send("POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try house.turn(until: { ends.count == 1 })
        ends[0](true, String(repeating: "m", count: 8 << 20))
        house.pass(.seconds(29))
        #expect(house.reached.isEmpty)
        house.pass(.seconds(60))
        #expect(house.reached == [.adminTime])
    }

    @Test func `lets go of a client that does not close what has ended, by its time and by what it sends`() throws {
        let house = try AdminHouse()
        let request = "GET /healthz/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        let slow = try house.client(.status)
        _ = try house.ask(slow, request)
        house.pass(.milliseconds(1900))
        #expect(house.reached.isEmpty)
        house.pass(.milliseconds(200))
        #expect(house.reached == [.adminLinger])
        let loud = try house.client(.status)
        _ = try house.ask(loud, request)
        loud.send(octets: [UInt8](repeating: 0x78, count: 512 << 10))
        try house.turn(until: { house.reached.count == 2 })
        #expect(house.reached == [.adminLinger, .adminLinger])
        #expect(house.isServing())
    }

    @Test func `counts the time of each phase anew`() throws {
        let house = try AdminHouse()
        let client = try house.client(.status)
        for _ in 0..<5 {
            house.pass(.seconds(60))
            #expect(try house.ask(client, "GET /healthz/live HTTP/1.1\r\nHost: localhost\r\n\r\n").hasSuffix("live\n"))
        }
    }

    @Test func `sends a large page to a slow reader`() throws {
        let house = try AdminHouse(metrics: String(repeating: "m", count: 8 << 20))
        let client = try house.client(.status)
        client.isReading = false
        client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        try house.turn(times: 20)
        client.isReading = true
        try house.turn(until: { client.isClosed })
        #expect(client.received.utf8.count > 8 << 20)
    }

    @Test func `refuses to pile up answers that nobody reads`() throws {
        let house = try AdminHouse(metrics: String(repeating: "m", count: 40 << 20))
        let clients = try (0..<3).map { _ in
            let client = try house.client(.status)
            client.isReading = false
            client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try house.turn(times: 20)
            return client
        }
        clients[2].isReading = true
        try house.turn(until: { clients[2].received.hasPrefix("HTTP/1.1 503 ") })
        #expect(house.reached == [.adminAnswers])
    }

    @Test func `stays open for a new client when silent ones took all places`() throws {
        let house = try AdminHouse()
        let silent = try (0..<80).map { _ in
            let client = try house.client(.status)
            house.pass(.milliseconds(1))
            return client
        }
        #expect(house.isServing())
        try house.turn(until: { silent.count { $0.isClosed } == 17 })
        #expect(silent.prefix(17).count { $0.isClosed } == 17)
        #expect(house.reached == Array(repeating: .adminConnections, count: 17))
    }

    @Test func `refuses a port that is taken`() throws {
        let house = try AdminHouse()
        let address = try #require(house.server.statusAddress)
        #expect(throws: SystemError.self) {
            _ = try AdminServer(status: address, admin: nil, pages: AdminPage.examples(), reached: { _ in })
        }
    }

    @Test func `leaves tokens of others alone`() throws {
        let house = try AdminHouse()
        for token: UInt64 in [0, 1, 1 << 63, .max, 0xae << 56] {
            #expect(!AdminServer.owns(token))
            house.server.wake(token, now: house.now)
        }
        for token: UInt64 in [0xad << 56, 0xad << 56 | 0xffff_ffff, 0xad << 56 | 1 << 55 | 77] {
            #expect(AdminServer.owns(token))
            house.server.wake(token, now: house.now)
        }
        #expect(house.isServing())
    }
}
