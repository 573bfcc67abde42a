import Balancing
import Glibc
import HTTP
import Octets
import Reactor
import Testing

@testable import Proxy
@testable import Telemetry

/// A request waits for a connection: the only one to its endpoint is in use by another request.
@Suite struct `A request that waits for a connection` {
    private static let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"
    private static let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    private func limits(connections: Int = 1) -> Limits {
        var limits = Limits()
        limits.upstreamConnections = connections
        return limits
    }

    /// A bench whose only connection to the endpoint is in use.
    private func busy(
        _ limits: Limits, timeout: Duration? = nil
    ) throws -> (bench: Bench, server: Server, holder: Peer, upstream: Peer) {
        let bench = try Bench(limits: limits, timeout: timeout)
        let server = try bench.server()
        let holder = try bench.client(sending: Self.get)
        let upstream = try #require(try server.accept())
        #expect(upstream.text().hasPrefix("GET / HTTP/1.1\r\n"))
        return (bench, server, holder, upstream)
    }

    @Test func `has its body held, and sent in order when the connection is there`() throws {
        let (bench, _, holder, upstream) = try busy(limits())
        let client = try bench.client(
            sending: "POST /w HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        client.send("3\r\ndef\r\n")
        bench.settle()
        client.send("3\r\nghi\r\n0\r\n\r\n")
        bench.settle()
        #expect(upstream.text().isEmpty && bench.active == 2)
        upstream.send(Self.answer)
        bench.settle()
        #expect(holder.text().hasSuffix("ok"))
        let request = upstream.text()
        #expect(request.hasPrefix("POST /w HTTP/1.1\r\n") && request.hasSuffix("\r\n9\r\nabcdefghi\r\n0\r\n\r\n"))
        upstream.send(Self.answer)
        bench.settle()
        #expect(client.text().hasSuffix("ok") && bench.active == 0)
    }

    @Test func `holds no more of a body than its window`() throws {
        let (bench, _, holder, upstream) = try busy(limits())
        let client = try bench.client(sending: "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4000000\r\n\r\n")
        let piece = String(repeating: "x", count: 50_000)
        for _ in 0..<80 {
            client.send(piece)
            bench.settle()
        }
        var held = 0
        for number in 0..<2 { bench.worker.exchanges.with(number) { held += $0.heldBody?.count ?? 0 } }
        #expect(held > 0 && held <= 4 * 65_536, "\(held)")
        upstream.send(Self.answer)
        bench.settle()
        #expect(holder.text().hasSuffix("ok"))
        #expect(upstream.octets().count >= held)
    }

    @Test func `is told that it may send its body when its turn has come`() throws {
        let bench = try Bench(limits: limits(), isHTTP2: true)
        let server = try bench.server()
        // Headers and expectation come in one read, in which the connection is only begun.
        let client = try bench.client(
            sending: "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
        #expect(try server.accept() != nil)
        #expect(client.text() == "HTTP/1.1 100 Continue\r\n\r\n")
    }

    @Test func `leaves the queue when its client goes`() throws {
        let (bench, _, holder, upstream) = try busy(limits())
        let client = try bench.client(sending: Self.get)
        let next = try bench.client(sending: "GET /next HTTP/1.1\r\nhost: a\r\n\r\n")
        client.close()
        bench.settle()
        #expect(bench.active == 2)
        upstream.send(Self.answer)
        bench.settle()
        #expect(holder.text().hasSuffix("ok"))
        #expect(upstream.text().hasPrefix("GET /next"))
        upstream.send(Self.answer)
        bench.settle()
        #expect(next.text().hasSuffix("ok") && bench.active == 0)
    }

    @Test func `is answered when its deadline passes, and nobody serves it afterwards`() throws {
        let (bench, _, _, upstream) = try busy(limits(), timeout: .seconds(3))
        bench.pass(.seconds(1))
        let client = try bench.client(sending: Self.get)
        bench.pass(.milliseconds(2500))
        #expect(client.text().isEmpty)
        // The holder's deadline came first: its connection is given up, and a new one is made for whoever waits.
        bench.pass(.seconds(2))
        #expect(client.text().hasPrefix("HTTP/1.1 504"))
        _ = upstream.text()
        #expect(upstream.isEnded && bench.active == 0)
    }

    @Test func `keeps its destination when a snapshot without it comes`() throws {
        let (bench, _, holder, upstream) = try busy(limits())
        let client = try bench.client(sending: Self.get)
        bench.publishEmpty()
        let late = try bench.client(sending: Self.get)
        #expect(late.text().hasPrefix("HTTP/1.1 404"))
        upstream.send(Self.answer)
        bench.settle()
        #expect(holder.text().hasSuffix("ok"))
        upstream.send(Self.answer)
        bench.settle()
        #expect(client.text().hasSuffix("ok"))
    }

    @Test func `is served when its endpoint leaves, by a connection that ends with it`() throws {
        let (bench, server, holder, upstream) = try busy(limits())
        let client = try bench.client(sending: Self.get)
        bench.endpoints[0].leave()
        bench.post(.endpointsLeft([bench.endpoints[0].number]))
        upstream.send(Self.answer)
        bench.settle()
        #expect(holder.text().hasSuffix("ok"))
        let next = try server.accept() ?? upstream
        #expect(next.text().contains("GET / HTTP/1.1\r\n"))
        next.send(Self.answer)
        bench.settle()
        #expect(client.text().hasSuffix("ok"))
        _ = next.text()
        #expect(next.isEnded, "a connection to an endpoint that has left is kept")
    }

    @Test func `is served to its end in a drain, and its connection is closed`() throws {
        let (bench, _, holder, upstream) = try busy(limits())
        let client = try bench.client(sending: Self.get)
        for message in [WorkerMessage.announceShutdown, .refuseNewStreams, .closeListeners] { bench.post(message) }
        for peer in [holder, client] {
            upstream.send(Self.answer)
            bench.settle()
            #expect(peer.text().hasSuffix("ok") && bench.active >= 0)
            _ = peer.text()
            #expect(peer.isEnded)
        }
    }

    @Test func `has another connection made when the one in use closes with its answer`() throws {
        let (bench, server, holder, upstream) = try busy(limits())
        let client = try bench.client(sending: Self.get)
        upstream.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
        bench.settle()
        #expect(holder.text().hasSuffix("ok"))
        let next = try #require(try server.accept(), "whoever waits is forgotten")
        next.send(Self.answer)
        bench.settle()
        #expect(client.text().hasSuffix("ok"))
    }

    /// No event of epoll follows a connection that ended in a flush: the worker must not sleep over it.
    @Test func `is looked after in a turn of its own when its pool loses a connection in a flush`() throws {
        let (bench, server, _, upstream) = try busy(limits())
        let client = try bench.client(sending: Self.get)
        upstream.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
        bench.worker.turn(isHurried: true)
        #expect(bench.worker.upstreams.hasUnserved)
        let reads = bench.clock.reads
        bench.worker.turn()
        #expect(bench.clock.reads == reads + 1, "it has slept")
        let next = try #require(try server.accept())
        bench.settle()
        next.send(Self.answer)
        bench.settle()
        #expect(client.text().hasSuffix("ok"))
    }

    @Test func `has another connection made when the one in use breaks`() throws {
        let (bench, server, holder, upstream) = try busy(limits())
        let clients = try (0..<2).map { _ in try bench.client(sending: Self.get) }
        upstream.close()
        bench.settle()
        #expect(holder.text().hasPrefix("HTTP/1.1 503"))
        let next = try #require(try server.accept())
        for client in clients {
            next.send(Self.answer)
            bench.settle()
            #expect(client.text().hasSuffix("ok"))
        }
        #expect(bench.active == 0)
    }

    @Test func `is forgotten when its client resets it`() throws {
        let (bench, _, holder, upstream) = try busy(limits())
        let client = HTTP2Peer(try bench.client(), isServer: false)
        let stream = try #require(client.request(["content-type": "text/plain"]))
        client.say(stream, "abc")
        client.exchange()
        bench.settle()
        #expect(bench.active == 2)
        client.reset(stream, code: ErrorCode.cancel)
        bench.settle()
        #expect(bench.active == 1)
        upstream.send(Self.answer)
        bench.settle()
        #expect(holder.text().hasSuffix("ok") && upstream.text().isEmpty && bench.active == 0)
    }

    @Test func `is answered when it has waited too long, deadline or not`() throws {
        let (bench, _, holder, upstream) = try busy(limits())
        let client = try bench.client(sending: Self.get)
        bench.pass(.milliseconds(14_990))
        let later = try bench.client(sending: Self.get)
        #expect(client.text().isEmpty)
        bench.pass(.milliseconds(20))
        let answer = client.text()
        #expect(answer.hasPrefix("HTTP/1.1 503") && answer.contains("x-envoy-overloaded: true"), "\(answer)")
        #expect(bench.metrics.value(.waitingTimeout) == 1 && later.text().isEmpty && bench.active == 2)
        upstream.send(Self.answer)
        bench.settle()
        #expect(holder.text().hasSuffix("ok"))
        // Whoever got the connection in time keeps it, however long the answer takes.
        bench.pass(.seconds(20))
        #expect(later.text().isEmpty)
        upstream.send(Self.answer)
        bench.settle()
        #expect(later.text().hasSuffix("ok") && bench.active == 0)
        #expect(bench.metrics.value(.waitingTimeout) == 1)
    }

    /// They would wait for as long as the streams of those connections last.
    @Test func `is served by one connection more when all that there may be are going away`() throws {
        let bench = try Bench(limits: limits(connections: 1), isHTTP2: true)
        let listener = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        let old = try #require(client.request(["content-type": "application/grpc"]))
        bench.settle()
        let first = HTTP2Peer(try #require(try listener.accept()), isServer: true)
        first.exchange()
        first.goAway()
        bench.settle()
        let new = try #require(client.request(["content-type": "application/grpc"]))
        bench.settle()
        let second = HTTP2Peer(try #require(try listener.accept(), "it waits for ever"), isServer: true)
        second.exchange()
        #expect(second.streams.count == 1 && first.streams.count == 1)
        // A third request shares the second connection: there is one more, not one for each.
        _ = client.request(["content-type": "application/grpc"])
        bench.settle()
        second.exchange()
        #expect(try listener.accept() == nil && second.streams.count == 2)
        client.reset(old, code: ErrorCode.cancel)
        client.reset(new, code: ErrorCode.cancel)
        bench.settle()
        #expect(bench.active == 1)
    }

    @Test func `is served when the connection that it waits for goes away`() throws {
        let bench = try Bench(limits: limits(connections: 1), isHTTP2: true)
        let listener = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        _ = client.request(["content-type": "application/grpc"])
        bench.settle()
        let first = HTTP2Peer(try #require(try listener.accept()), isServer: true, mostStreams: 1)
        first.exchange()
        bench.settle()
        _ = client.request(["content-type": "application/grpc"])
        bench.settle()
        first.exchange()
        #expect(try listener.accept() == nil && first.streams.count == 1 && bench.active == 2)
        first.goAway()
        bench.settle()
        let second = HTTP2Peer(try #require(try listener.accept(), "it waits for ever"), isServer: true)
        second.exchange()
        #expect(second.streams.count == 1)
    }

    @Test func `is refused when the queue is full`() throws {
        var few = limits()
        few.waitingRequests = 2
        let (bench, _, _, _) = try busy(few)
        let waiting = try (0..<2).map { _ in try bench.client(sending: Self.get) }
        let refused = try bench.client(sending: Self.get).text()
        #expect(refused.hasPrefix("HTTP/1.1 503") && refused.contains("x-envoy-overloaded: true"))
        #expect(bench.metrics.value(.waitingRequests) == 1 && bench.active == 3)
        #expect(waiting.allSatisfy { $0.text().isEmpty })
    }

    @Test func `is served among many, each once and in order`() throws {
        let (bench, _, holder, upstream) = try busy(limits())
        let clients = try (0..<40).map { try bench.client(sending: "GET /\($0) HTTP/1.1\r\nhost: a\r\n\r\n") }
        upstream.send(Self.answer)
        bench.settle()
        #expect(holder.text().hasSuffix("ok"))
        for (number, client) in clients.enumerated() {
            #expect(upstream.text().hasPrefix("GET /\(number) "))
            upstream.send(Self.answer)
            bench.settle()
            #expect(client.text().hasSuffix("ok"))
        }
        #expect(bench.active == 0)
    }
}

@Suite struct `A request whose try fails` {
    private static let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    @Test func `is sent again whole, with the body and the trailers that came before`() throws {
        let bench = try Bench(isHTTP2: true)
        let listener = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        let stream = try #require(client.request(["content-type": "application/grpc"]))
        client.say(stream, "abc")
        client.say(stream, "def")
        client.finish(stream, trailers: ["x-end": "1"])
        bench.settle()
        let server = HTTP2Peer(try #require(try listener.accept()), isServer: true)
        server.exchange()
        bench.settle()
        server.exchange()
        let first = try #require(server.streams.first)
        #expect(server.seen(first) == ["POST /", "abcdef", "x-end: 1"])
        server.reset(first, code: ErrorCode.refusedStream)
        bench.settle()
        server.exchange()
        let second = try #require(server.streams.last)
        #expect(server.streams.count == 2 && server.seen(second) == ["POST /", "abcdef", "x-end: 1"])
        client.exchange()
        #expect(bench.active == 1 && client.streams.isEmpty)
    }

    @Test func `waits before the next try, and its body is held meanwhile`() throws {
        let bench = try Bench()
        let client = try bench.client(sending: "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nabc")
        #expect(bench.metrics.value(ConnectFailure.refused) == 1 && bench.active == 1)
        client.send("def")
        bench.settle()
        let server = try bench.server()
        #expect(try server.accept() == nil, "the pause is not kept")
        bench.pass(.milliseconds(26))
        let upstream = try #require(try server.accept())
        #expect(upstream.text().hasSuffix("\r\n\r\nabcdef"))
        upstream.send(Self.answer)
        bench.settle()
        #expect(client.text().hasSuffix("ok") && bench.active == 0)
    }

    @Test func `is answered when all its tries have failed, with the reason`() throws {
        let bench = try Bench()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        let stream = try #require(client.request(["content-type": "application/grpc"]))
        bench.settle()
        for _ in 0..<3 { bench.pass(.milliseconds(60)) }
        client.exchange()
        #expect(client.seen(stream).joined().contains("endpoint \(bench.name)-0: connection refused"))
        #expect(bench.metrics.value(ConnectFailure.refused) == 3 && bench.active == 0)
    }

    @Test func `is forgotten when its client goes while it waits for the next try`() throws {
        let bench = try Bench()
        let client = try bench.client(sending: "GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        #expect(bench.active == 1)
        client.close()
        bench.settle()
        #expect(bench.active == 0)
        let server = try bench.server()
        bench.pass(.seconds(1))
        #expect(try server.accept() == nil)
    }

    /// The old connection takes no new streams, and would not end before its stream does.
    @Test func `does not wait for a connection that goes away when no other can be made`() throws {
        let bench = try Bench(isHTTP2: true)
        let listener = try bench.server()
        let first = HTTP2Peer(try bench.client(), isServer: false)
        _ = first.request(["content-type": "application/grpc"])
        bench.settle()
        let server = HTTP2Peer(try #require(try listener.accept()), isServer: true)
        server.exchange()
        server.goAway()
        bench.settle()
        listener.close()
        let second = HTTP2Peer(try bench.client(), isServer: false)
        let stream = try #require(second.request(["content-type": "application/grpc"]))
        for _ in 0..<4 { bench.pass(.milliseconds(100)) }
        second.exchange()
        #expect(second.seen(stream).joined().contains("connection refused"))
        #expect(bench.active == 1)
    }

    @Test func `says by which code its stream was reset`() throws {
        let bench = try Bench(isHTTP2: true)
        let listener = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        let stream = try #require(client.request(["content-type": "application/grpc"]))
        bench.settle()
        let server = HTTP2Peer(try #require(try listener.accept()), isServer: true)
        server.exchange()
        server.reset(try #require(server.streams.first), code: ErrorCode.internalError)
        bench.settle()
        client.exchange()
        #expect(client.seen(stream).joined().contains("\(bench.name)-0: the endpoint reset the stream with code 2"))
        #expect(server.streams.count == 1 && bench.active == 0)
    }

    @Test func `says which rule its endpoint's connection broke`() throws {
        let bench = try Bench(isHTTP2: true)
        let listener = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        let stream = try #require(client.request(["content-type": "application/grpc"]))
        bench.settle()
        let upstream = try #require(try listener.accept())
        // A frame of SETTINGS whose length is no multiple of six.
        upstream.send("\u{0}\u{0}\u{5}\u{4}\u{0}\u{0}\u{0}\u{0}\u{0}xxxxx")
        bench.settle()
        client.exchange()
        let answer = client.seen(stream).joined()
        #expect(answer.contains("\(bench.name)-0: ") && answer.contains("RFC 9113"), "\(answer)")
    }

    @Test func `is served by a connection that was being made when its endpoint left, which then ends`() throws {
        let bench = try Bench(isHTTP2: true)
        let listener = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        let stream = try #require(client.request(["content-type": "application/grpc"]))
        var upstream: Peer?
        while upstream == nil {
            bench.worker.turn(isHurried: true)
            upstream = try listener.accept()
        }
        bench.endpoints[0].leave()
        bench.worker.upstreams.drop([bench.endpoints[0].number])
        bench.settle()
        let peer = try #require(upstream)
        let server = HTTP2Peer(peer, isServer: true)
        server.exchange()
        #expect(server.streams.count == 1)
        client.reset(stream, code: ErrorCode.cancel)
        bench.settle()
        server.exchange()
        #expect(peer.isEnded && bench.active == 0)
    }
}

@Suite struct `Lines about failed connections` {
    @Test func `are one a second, and say how many had none`() {
        var failures = ConnectFailures()
        let lines = [(1, "a"), (1, "b"), (1, "b"), (2, "c"), (3, "d")].map {
            failures.line(endpoint: $0.1, "connection refused", advice: "", at: $0.0)
        }
        #expect(
            lines == [
                "endpoint a: connection refused", nil, nil,
                "endpoint c: connection refused; 2 more connections failed since the last line of this kind",
                "endpoint d: connection refused",
            ])
        let line = failures.line(endpoint: "e", "connection refused", advice: ConnectFailure.refused.advice, at: 4)
        #expect(
            line == "endpoint e: connection refused; check that the pod listens on this port, which is the Service's "
                + "targetPort")
    }

    @Test(
        arguments: [
            (ECONNREFUSED, .refused), (ETIMEDOUT, .timedOut), (EHOSTUNREACH, .unreachable), (ENETUNREACH, .unreachable),
            (ECONNRESET, .reset), (EMFILE, .lacking), (EADDRNOTAVAIL, .lacking), (0, .other),
        ] as [(Int32, ConnectFailure)])
    func `are counted by the kernel's reason`(code: Int32, reason: ConnectFailure) {
        #expect(ConnectFailure(SystemError("connect to", code: code)) == reason)
    }
}
