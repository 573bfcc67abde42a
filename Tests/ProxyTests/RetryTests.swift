import Balancing
import HTTP
import Octets
import Reactor
import Testing

@testable import Proxy
@testable import Routing
@testable import Telemetry

/// Source: docs/istio.md, Retries; docs/behaviour.md, Retries.
@Suite struct `A request that is tried again` {
    private static let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"
    private static let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"
    private static let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    private static func answer(_ status: Int, _ fields: String = "") -> String {
        "HTTP/1.1 \(status) X\r\n\(fields)content-length: 3\r\n\r\nbad"
    }

    private func count(_ bench: Bench, _ reason: RetryReason) -> UInt64 {
        bench.metrics.value(.retries, reason.rawValue)
    }

    /// Lets the longest pause before any try pass.
    private func pause(_ bench: Bench) {
        for _ in 0..<6 { bench.pass(.milliseconds(100)) }
    }

    // MARK: kept connections

    /// The endpoint's end has come with the request, and its event is behind the request's.
    @Test func `is not sent on a kept connection that has ended`() throws {
        let bench = try Bench()
        let server = try bench.server()
        let client = try bench.client(sending: Self.post)
        let upstream = try #require(try server.accept())
        #expect(upstream.text().hasPrefix("POST"))
        upstream.send(Self.ok)
        bench.settle()
        #expect(client.text().hasSuffix("ok"))
        bench.pass(.seconds(2))
        client.send(Self.post)
        upstream.close()
        bench.settle()
        let second = try #require(try server.accept(), "the request was sent where nobody reads it")
        #expect(second.text().contains("x-envoy-attempt-count: 1\r\n"))
        second.send(Self.ok)
        bench.settle()
        #expect(client.text().hasSuffix("ok") && bench.active == 0)
    }

    /// Another try would need the body from its beginning.
    @Test(arguments: [(60_000, 0), (70_000, 1)])
    func `is not sent again when its body was too long to be kept, which is counted`(octets: Int, count: Int) throws {
        let bench = try Bench(rule: "retries: {attempts: 1, retryOn: \"reset,refused-stream\"}")
        let server = try bench.server()
        let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: \(octets + 5)\r\n\r\n"
        let client = try bench.client(sending: head + String(repeating: "x", count: octets))
        let upstream = try #require(try server.accept())
        for _ in 0..<4 {
            _ = upstream.text()
            bench.settle()
        }
        upstream.close()
        bench.settle()
        pause(bench)
        #expect(bench.metrics.value(.replayBody) == UInt64(count))
        #expect(client.text().isEmpty == (count == 0))
    }

    // MARK: answers

    @Test(arguments: [
        ("5xx", 500, true), ("5xx", 503, true), ("5xx", 404, false), ("gateway-error", 502, true),
        ("gateway-error", 500, false), ("retriable-4xx", 409, true), ("retriable-4xx", 404, false), ("503", 503, true),
        ("503", 502, false), ("404", 404, true), ("200", 200, true), ("connect-failure", 503, false),
        ("\"503,retriable-status-codes\"", 503, true), ("reset", 503, false),
    ])
    func `is sent again for the answers that its rule names`(retryOn: String, status: Int, isRetried: Bool) throws {
        let bench = try Bench(rule: "retries: {attempts: 1, retryOn: \(retryOn)}")
        let server = try bench.server()
        let client = try bench.client(sending: Self.get)
        let upstream = try #require(try server.accept())
        #expect(upstream.text().hasPrefix("GET / HTTP/1.1\r\n"))
        upstream.send(Self.answer(status))
        bench.settle()
        guard isRetried else {
            #expect(client.text().hasPrefix("HTTP/1.1 \(status) ") && count(bench, .status) == 0)
            return
        }
        #expect(client.text().isEmpty, "an answer that is tried again reaches the client")
        pause(bench)
        let second = upstream.text()
        #expect(second.contains("\r\nx-envoy-attempt-count: 2\r\n"), "\(second)")
        upstream.send(Self.answer(status))
        bench.settle()
        let last = client.text()
        #expect(last.hasPrefix("HTTP/1.1 \(status) ") && last.hasSuffix("bad"), "\(last)")
        #expect(count(bench, .status) == 1 && bench.active == 0)
    }

    /// Source: istio/istio pilot/pkg/networking/core/route/retry/retry.go (buildPreviousPrioritiesConfig).
    @Test(arguments: [true, false])
    func `leaves the nearest endpoints with its third try where the rule wants that`(isWanted: Bool) throws {
        let bench = try Bench(
            servers: 4, rule: "retries: {attempts: 4, retryOn: 5xx\(isWanted ? ", retryRemoteLocalities: true" : "")}")
        bench.cluster.arrange(by: .ranked)
        bench.cluster.publish(EndpointList(bench.endpoints, ranks: [0, 0, 1, 2]))
        let servers = try (0..<4).map { try bench.server($0) }
        _ = try bench.client(sending: Self.get)
        var order: [Int] = []
        var peers: [Peer?] = [nil, nil, nil, nil]
        for _ in 0..<5 {
            for (number, server) in servers.enumerated() {
                if let peer = try server.accept() { peers[number] = peer }
                guard let peer = peers[number], peer.text().hasPrefix("GET") else { continue }
                order.append(number)
                peer.send(Self.answer(503))
            }
            bench.settle()
            for _ in 0..<10 { bench.pass(.milliseconds(100)) }
        }
        #expect(order.count == 5 && Set(order.prefix(2)) == [0, 1], "\(order)")
        if isWanted {
            #expect(Array(order[2...3]) == [2, 2] && order[4] == 3, "\(order)")
        } else {
            #expect(Set(order) == [0, 1], "\(order)")
        }
    }

    @Test func `has its body sent again, and its answer to the end`() throws {
        let bench = try Bench(rule: "retries: {attempts: 2, retryOn: 5xx}")
        let server = try bench.server()
        let client = try bench.client(sending: Self.post)
        let upstream = try #require(try server.accept())
        for _ in 0..<2 {
            #expect(upstream.text().hasSuffix("\r\n\r\nhello"))
            upstream.send(Self.answer(503))
            bench.settle()
            pause(bench)
        }
        #expect(upstream.text().hasSuffix("\r\n\r\nhello"))
        upstream.send(Self.ok)
        bench.settle()
        #expect(client.text().hasSuffix("ok") && bench.active == 0)
    }

    @Test func `passes an answer when its body is longer than what is kept`() throws {
        let bench = try Bench(rule: "retries: {attempts: 2, retryOn: 5xx}")
        let server = try bench.server()
        let body = String(repeating: "x", count: 50_000)
        let client = try bench.client(
            sending: "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n" + body)
        let upstream = try #require(try server.accept())
        var octets = upstream.octets().count
        client.send(body)
        for _ in 0..<20 {
            bench.settle()
            octets += upstream.octets().count
        }
        #expect(octets > 100_000)
        upstream.send(Self.answer(503))
        bench.settle()
        #expect(client.text().hasPrefix("HTTP/1.1 503 ") && count(bench, .status) == 0)
    }

    @Test func `is not sent again for an answer that says it was rate limited, unless its rule says so`() throws {
        for (retryOn, isRetried) in [("5xx", false), ("\"5xx,envoy-ratelimited\"", true)] {
            let bench = try Bench(rule: "retries: {attempts: 1, retryOn: \(retryOn)}")
            let server = try bench.server()
            let client = try bench.client(sending: Self.get)
            let upstream = try #require(try server.accept())
            _ = upstream.text()
            upstream.send(Self.answer(503, "x-envoy-ratelimited: true\r\n"))
            bench.settle()
            #expect(client.text().isEmpty == isRetried)
        }
    }

    @Test func `keeps waiting for the next try's answer when the old one still comes`() throws {
        let bench = try Bench(servers: 2, rule: "retries: {attempts: 1, retryOn: 5xx}")
        let servers = [try bench.server(0), try bench.server(1)]
        let client = try bench.client(sending: Self.get)
        let first = try #require(try servers[0].accept())
        _ = first.text()
        first.send("HTTP/1.1 503 X\r\ncontent-length: 1000\r\n\r\npart")
        bench.settle()
        _ = first.text()
        #expect(first.isEnded, "the connection with the rest of a dropped answer is kept")
        pause(bench)
        let second = try #require(try servers[1].accept())
        _ = second.text()
        second.send(Self.ok)
        bench.settle()
        #expect(client.text().hasSuffix("ok") && bench.active == 0)
    }

    // MARK: losses

    @Test(arguments: [
        ("reset", true), ("5xx", true), ("gateway-error", true), ("connect-failure", false), ("refused-stream", false),
        ("503", false), ("reset-before-request", false),
    ])
    func `is sent again when its connection is lost, if its rule names that`(retryOn: String, isRetried: Bool) throws {
        let bench = try Bench(servers: 2, rule: "retries: {attempts: 1, retryOn: \(retryOn)}")
        let servers = [try bench.server(0), try bench.server(1)]
        let client = try bench.client(sending: Self.post)
        let first = try #require(try servers[0].accept())
        #expect(first.text().hasSuffix("hello"))
        first.close()
        bench.settle()
        guard isRetried else {
            #expect(client.text().hasPrefix("HTTP/1.1 503 "))
            return
        }
        pause(bench)
        let second = try #require(try servers[1].accept())
        #expect(second.text().hasSuffix("hello"))
        second.send(Self.ok)
        bench.settle()
        #expect(client.text().hasSuffix("ok"))
    }

    // Cases 22 and 93
    @Test(arguments: ["retries: {}", "retries: {attempts: 0}"])
    func `is never tried again where its rule switches retries off`(rule: String) throws {
        let bench = try Bench(servers: 2, rule: rule)
        let server = try bench.server(1)
        let client = try bench.client(sending: Self.get)
        #expect(client.text().hasPrefix("HTTP/1.1 503 "))
        #expect(try server.accept() == nil && bench.metrics.value(.retries, RetryReason.connectFailure.rawValue) == 0)
    }

    @Test func `may have the same endpoint again where its rule says so`() throws {
        let bench = try Bench(
            servers: 2, rule: "retries: {attempts: 4, retryOn: 5xx, retryIgnorePreviousHosts: false}")
        let servers = [try bench.server(0), try bench.server(1)]
        let client = try bench.client(sending: Self.get)
        var peers: [Peer] = []
        var asked: [Int] = []
        for _ in 0..<5 {
            for (number, server) in servers.enumerated() {
                if let peer = try server.accept() { peers.append(peer); asked.append(number) }
            }
            for peer in peers where peer.text().hasPrefix("GET") { peer.send(Self.answer(503)) }
            bench.settle()
            pause(bench)
        }
        #expect(client.text().hasPrefix("HTTP/1.1 503 "))
        #expect(bench.metrics.value(.retries, RetryReason.status.rawValue) == 4)
    }

    // MARK: gRPC

    /// A bench with one call, and the server's side of it.
    private func call(
        _ rule: String = "", timeout: Duration? = nil
    ) throws -> (bench: Bench, client: HTTP2Peer, stream: Int, server: HTTP2Peer) {
        let bench = try Bench(isHTTP2: true, timeout: timeout, rule: rule)
        let server = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        client.exchange()
        bench.settle()
        let stream = try #require(client.request(["content-type": "application/grpc"]))
        client.say(stream, "hello")
        client.finish(stream)
        bench.settle()
        let peer = HTTP2Peer(try #require(try server.accept()), isServer: true)
        peer.exchange()
        bench.settle()
        peer.exchange()
        return (bench, client, stream, peer)
    }

    @Test(arguments: [(14, true), (1, true), (13, false), (4, false), (8, false)])
    func `is a gRPC call that Istio's default tries again by its status`(status: Int, isRetried: Bool) throws {
        let (bench, client, stream, server) = try call()
        let first = try #require(server.streams.first)
        server.answer(first, [":status": "200", "content-type": "application/grpc", "grpc-status": "\(status)"])
        bench.settle()
        client.exchange()
        guard isRetried else {
            #expect(client.seen(stream).first?.contains("grpc-status: \(status)") == true)
            return
        }
        #expect(client.seen(stream).isEmpty)
        pause(bench)
        server.exchange()
        #expect(server.streams.count == 2 && server.seen(server.streams[1]).last == "hello")
        server.answer(server.streams[1], [":status": "200", "content-type": "application/grpc", "grpc-status": "0"])
        bench.settle()
        client.exchange()
        #expect(client.seen(stream).first?.contains("grpc-status: 0") == true)
        #expect(count(bench, .grpcStatus) == 1 && bench.active == 0)
    }

    @Test func `is over when a status comes behind an answer that has begun`() throws {
        let (bench, client, stream, server) = try call("retries: {attempts: 3, retryOn: unavailable}")
        server.answer(server.streams[0], [":status": "200", "content-type": "application/grpc"], isEnd: false)
        bench.settle()
        server.finish(server.streams[0], trailers: ["grpc-status": "14"])
        bench.settle()
        client.exchange()
        #expect(client.seen(stream).last?.contains("grpc-status: 14") == true)
        #expect(count(bench, .grpcStatus) == 0)
    }

    @Test func `keeps its trailers over tries`() throws {
        let (bench, client, _, server) = try call("retries: {attempts: 1, retryOn: reset}")
        let stream = try #require(client.request(["content-type": "application/grpc"]))
        client.say(stream, "more")
        client.finish(stream, trailers: ["x-end": "yes"])
        bench.settle()
        server.exchange()
        server.reset(server.streams[1], code: ErrorCode.internalError)
        bench.settle()
        pause(bench)
        server.exchange()
        #expect(server.streams.count == 3)
        let seen = server.seen(server.streams[2])
        #expect(seen.count == 3 && seen[1] == "more" && seen[2].contains("x-end: yes"), "\(seen)")
    }

    // MARK: time

    // Cases 20 and 92
    @Test func `gives up a try that takes too long, and tries again if its rule names that`() throws {
        for (retryOn, tries) in [("5xx", 3), ("connect-failure", 1)] {
            let bench = try Bench(rule: "retries: {attempts: 2, perTryTimeout: 1s, retryOn: \(retryOn)}")
            let server = try bench.server()
            let client = try bench.client(sending: Self.get)
            var seen = 0
            for _ in 0..<5 {
                if let peer = try server.accept(), peer.text().hasPrefix("GET") { seen += 1 }
                bench.pass(.milliseconds(1001))
                pause(bench)
            }
            #expect(seen == tries)
            let answer = client.text()
            #expect(answer.hasPrefix("HTTP/1.1 504 ") && answer.hasSuffix("upstream request timeout"), "\(answer)")
            #expect(count(bench, .tryTimeout) == UInt64(tries - 1) && bench.active == 0)
        }
    }

    @Test func `lets an answer that has begun take its time`() throws {
        let bench = try Bench(rule: "retries: {attempts: 2, perTryTimeout: 1s, retryOn: 5xx}")
        let server = try bench.server()
        let client = try bench.client(sending: Self.get)
        let upstream = try #require(try server.accept())
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no")
        bench.settle()
        bench.pass(.seconds(5))
        upstream.send("k")
        bench.settle()
        #expect(client.text().hasSuffix("ok") && count(bench, .tryTimeout) == 0)
    }

    @Test func `counts the time of a try from the end of the request`() throws {
        let bench = try Bench(rule: "retries: {attempts: 1, perTryTimeout: 1s, retryOn: 5xx}")
        let server = try bench.server()
        let client = try bench.client(sending: "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhe")
        let upstream = try #require(try server.accept())
        bench.pass(.seconds(5))
        client.send("llo")
        bench.settle()
        bench.pass(.milliseconds(900))
        #expect(count(bench, .tryTimeout) == 0)
        upstream.send(Self.ok)
        bench.settle()
        #expect(client.text().hasSuffix("ok"))
    }

    @Test func `ends at its deadline, whatever its tries`() throws {
        let bench = try Bench(
            timeout: .milliseconds(1500), rule: "retries: {attempts: 9, perTryTimeout: 1s, retryOn: 5xx}")
        let server = try bench.server()
        let client = try bench.client(sending: Self.get)
        bench.pass(.milliseconds(1001))
        pause(bench)
        #expect(client.text().hasPrefix("HTTP/1.1 504 ") && bench.active == 0)
        _ = try server.accept()
    }

    @Test func `ends at its deadline while it waits for its next try`() throws {
        let bench = try Bench(timeout: .seconds(2), rule: "retries: {attempts: 9, retryOn: 5xx, backoff: 10s}")
        let server = try bench.server()
        let client = try bench.client(sending: Self.get)
        let upstream = try #require(try server.accept())
        upstream.send(Self.answer(503))
        bench.settle()
        bench.pass(.seconds(3))
        #expect(client.text().hasPrefix("HTTP/1.1 504 ") && bench.active == 0)
    }

    @Test func `waits as long as its rule says`() throws {
        let bench = try Bench(rule: "retries: {attempts: 1, retryOn: 503, backoff: 4s}")
        let server = try bench.server()
        let client = try bench.client(sending: Self.get)
        let upstream = try #require(try server.accept())
        _ = upstream.text()
        upstream.send(Self.answer(503))
        bench.settle()
        bench.pass(.milliseconds(1999))
        #expect(upstream.text().isEmpty)
        bench.pass(.milliseconds(2002))
        #expect(upstream.text().hasPrefix("GET"))
        upstream.send(Self.ok)
        bench.settle()
        #expect(client.text().hasSuffix("ok"))
    }

    @Test func `is given up with its client while it waits for its next try`() throws {
        let bench = try Bench(rule: "retries: {attempts: 1, retryOn: 503, backoff: 4s}")
        let server = try bench.server()
        let client = try bench.client(sending: Self.get)
        let upstream = try #require(try server.accept())
        _ = upstream.text()
        upstream.send(Self.answer(503))
        bench.settle()
        client.close()
        bench.settle()
        #expect(bench.active == 0)
        bench.pass(.seconds(5))
        #expect(upstream.text().isEmpty)
    }

    // MARK: the policy

    private func policy(_ retries: String) throws -> RetryPolicy {
        try #require(try RuleReading.extras("retries: {\(retries)}")?.retries)
    }

    @Test func `has Istio's default where its rule says nothing, and what the rule says in its place`() throws {
        #expect(RetryPolicy.standard.attempts == 2)
        #expect(RetryPolicy.standard.conditions == [.connectFailure, .refusedStream, .unavailable, .cancelled])
        #expect(try policy("attempts: 3").conditions == RetryPolicy.standard.conditions)
        #expect(try policy("attempts: 3, retryOn: 5xx").conditions == [.any5xx])
        let codes = try policy("attempts: 3, retryOn: '503,404'")
        #expect(codes.conditions == [] && codes.statuses == [503, 404])
        #expect(try policy("attempts: 0").attempts == 0)
    }

    private func wants(_ retryOn: String, _ status: Int, grpc: Int? = nil, isRateLimited: Bool = false) throws -> Bool {
        try policy("attempts: 1, retryOn: '\(retryOn)'").wants(
            status: status, grpcStatus: grpc, isRateLimited: isRateLimited)
    }

    @Test(arguments: [("deadline-exceeded", 4), ("internal", 13), ("resource-exhausted", 8)])
    func `is a gRPC call that its rule tries again by its status`(retryOn: String, status: Int) throws {
        for other in 0...16 { #expect(try wants(retryOn, 200, grpc: other) == (other == status), "\(other)") }
        #expect(try !wants(retryOn, 200))
    }

    @Test func `is tried again for any 5xx`() throws {
        for (status, isWanted) in [(200, false), (409, false), (499, false), (500, true), (599, true), (600, false)] {
            #expect(try wants("5xx", status) == isWanted, "\(status)")
        }
    }

    @Test func `is tried again for the errors of gateways`() throws {
        for (status, isWanted) in [(500, false), (501, false), (502, true), (503, true), (504, true), (505, false)] {
            #expect(try wants("gateway-error", status) == isWanted, "\(status)")
        }
    }

    @Test func `is tried again for a conflict, and for no other status of 4xx`() throws {
        for status in 400..<500 { #expect(try wants("retriable-4xx", status) == (status == 409), "\(status)") }
    }

    @Test func `is tried again for the statuses that its rule lists, and for no others`() throws {
        for status in 200..<600 { #expect(try wants("404,503", status) == [404, 503].contains(status), "\(status)") }
    }

    @Test func `is tried again for a rate limit only where its rule says so, whatever the status`() throws {
        #expect(try !wants("5xx,429", 503, isRateLimited: true) && !wants("5xx,429", 429, isRateLimited: true))
        #expect(try wants("envoy-ratelimited", 429, isRateLimited: true) && !wants("envoy-ratelimited", 429))
    }

    @Test func `is tried again for any of several conditions`() throws {
        let both = "gateway-error,unavailable"
        #expect(try wants(both, 502) && wants(both, 200, grpc: 14) && !wants(both, 200, grpc: 13))
    }

    @Test func `is not tried again for an answer where its rule names none`() throws {
        for status in [200, 409, 500, 503] { #expect(try !wants("connect-failure,refused-stream,reset", status)) }
    }

    @Test func `is shown`() throws {
        let all = try policy(
            "attempts: 3, perTryTimeout: 2s, retryOn: '5xx,503', backoff: 1s, retryIgnorePreviousHosts: false")
        #expect(
            all.summary
                == "3 retries on 5xx,503, 2s per try, back-off from 1s, on the same endpoint too")
        #expect(try policy("attempts: 0").summary == "no retries")
    }
}
