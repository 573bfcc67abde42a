import HTTP
import Octets
import Reactor
import Telemetry
import Testing

@testable import Proxy
@testable import Routing

/// Source: docs/istio.md, Faults.
@Suite struct `A request with a fault` {
    private static let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"
    private static let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    private static let always = "percentage: {value: 100}"
    private static let delay = "fault: {delay: {\(always), fixedDelay: 2s}}"

    private func injected(_ bench: Bench) -> [String] {
        var flags: [String] = []
        bench.worker.exchanges.with(0) { exchange in
            if exchange.injected.contains(.delayInjected) { flags.append("DI") }
            if exchange.injected.contains(.faultInjected) { flags.append("FI") }
        }
        return flags
    }

    @Test func `is held back, then served`() throws {
        let bench = try Bench(rule: Self.delay)
        let server = try bench.server()
        let client = try bench.client(sending: Self.get)
        bench.pass(.milliseconds(1999))
        #expect(try server.accept() == nil && client.text().isEmpty)
        #expect(injected(bench) == ["DI"])
        bench.pass(.milliseconds(2))
        let upstream = try #require(try server.accept())
        upstream.send(Self.ok)
        bench.settle()
        #expect(client.text().hasSuffix("ok") && bench.active == 0)
    }

    @Test func `is answered at once`() throws {
        let bench = try Bench(rule: "fault: {abort: {\(Self.always), httpStatus: 418}}")
        let server = try bench.server()
        let client = try bench.client(sending: Self.get)
        let answer = client.text()
        #expect(answer.hasPrefix("HTTP/1.1 418 ") && answer.hasSuffix("\r\n\r\nfault filter abort"), "\(answer)")
        #expect(try server.accept() == nil && bench.active == 0)
    }

    @Test func `is held back and then answered`() throws {
        let bench = try Bench(
            rule: "fault: {delay: {\(Self.always), fixedDelay: 2s}, abort: {\(Self.always), httpStatus: 500}}")
        let client = try bench.client(sending: Self.get)
        bench.pass(.milliseconds(1999))
        #expect(client.text().isEmpty)
        bench.pass(.milliseconds(2))
        #expect(client.text().hasPrefix("HTTP/1.1 500 ") && bench.active == 0)
    }

    @Test(arguments: [("httpStatus: 503", 14), ("grpcStatus: NOT_FOUND", 5), ("grpcStatus: UNAVAILABLE", 14)])
    func `is a gRPC call that is answered by a status`(abort: String, status: Int) throws {
        let bench = try Bench(isHTTP2: true, rule: "fault: {abort: {\(Self.always), \(abort)}}")
        let client = HTTP2Peer(try bench.client(), isServer: false)
        client.exchange()
        let stream = try #require(client.request(["content-type": "application/grpc"]))
        bench.settle()
        client.exchange()
        let answer = client.seen(stream).first ?? ""
        #expect(answer.contains(":status: 200") && answer.contains("grpc-status: \(status)"), "\(answer)")
        #expect(answer.contains("grpc-message: fault filter abort"))
    }

    @Test func `has its body held back with it, and no more of it than its window`() throws {
        let bench = try Bench(rule: Self.delay)
        let server = try bench.server()
        let client = try bench.client(sending: "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2000000\r\n\r\n")
        let piece = String(repeating: "x", count: 50_000)
        for _ in 0..<40 {
            client.send(piece)
            bench.settle()
        }
        var held = 0
        bench.worker.exchanges.with(0) { held = $0.heldBody?.count ?? 0 }
        #expect(held > 0 && held <= 4 * 65_536, "\(held)")
        bench.pass(.milliseconds(2001))
        let upstream = try #require(try server.accept())
        #expect(upstream.octets().count >= held)
    }

    @Test func `is given up with its client`() throws {
        let bench = try Bench(rule: Self.delay)
        let server = try bench.server()
        let client = try bench.client(sending: Self.get)
        client.close()
        bench.settle()
        #expect(bench.active == 0)
        bench.pass(.seconds(3))
        #expect(try server.accept() == nil)
    }

    @Test func `does not spend its route's timeout while it is held back`() throws {
        let bench = try Bench(timeout: .seconds(1), rule: Self.delay)
        let server = try bench.server()
        let client = try bench.client(sending: Self.get)
        bench.pass(.milliseconds(2001))
        let upstream = try #require(try server.accept())
        bench.pass(.milliseconds(900))
        #expect(client.text().isEmpty)
        bench.pass(.milliseconds(200))
        #expect(client.text().hasPrefix("HTTP/1.1 504 "))
        _ = upstream.text()
    }

    @Test func `spends the deadline of its caller`() throws {
        let bench = try Bench(isHTTP2: true, rule: Self.delay)
        let server = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        client.exchange()
        let stream = try #require(client.request(["content-type": "application/grpc", "grpc-timeout": "1S"]))
        bench.settle()
        bench.pass(.milliseconds(2001))
        client.exchange()
        #expect(client.seen(stream).first?.contains("grpc-status: 4") == true)
        #expect(try server.accept() == nil)
    }

    @Test func `keeps its destination when a snapshot without it comes`() throws {
        let bench = try Bench(rule: Self.delay)
        let server = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        client.exchange()
        let held = try #require(client.request([:]))
        bench.settle()
        bench.publishEmpty()
        // The same connection uses the new configuration for its next request.
        let next = try #require(client.request([:]))
        bench.settle()
        client.exchange()
        #expect(client.seen(next).first?.contains(":status: 404") == true)
        bench.pass(.milliseconds(2001))
        let upstream = try #require(try server.accept())
        #expect(upstream.text().hasPrefix("POST / HTTP/1.1"))
        #expect(client.seen(held).isEmpty)
    }

    @Test func `is served to its end in a drain`() throws {
        let bench = try Bench(rule: Self.delay)
        let server = try bench.server()
        let client = try bench.client(sending: Self.get)
        bench.post(.announceShutdown)
        bench.post(.refuseNewStreams)
        bench.pass(.milliseconds(2001))
        let upstream = try #require(try server.accept())
        upstream.send(Self.ok)
        bench.settle()
        #expect(client.text().hasSuffix("ok"))
    }

    @Test func `is not taken for a client that sends nothing`() throws {
        let bench = try Bench(rule: "fault: {delay: {\(Self.always), fixedDelay: 400s}}")
        let client = try bench.client(sending: "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhe")
        for _ in 0..<350 { bench.pass(.seconds(1)) }
        #expect(client.text().isEmpty && bench.active == 1)
    }

    // MARK: the policy

    private func policy(_ fault: String) throws -> FaultPolicy? { try RuleReading.extras("fault: {\(fault)}")?.fault }

    @Test func `is drawn by millionths`() {
        let half = RequestShare(percentage: 50)
        #expect(half.includes(random: 499_999) && !half.includes(random: 500_000) && half.includes(random: 1_000_000))
        #expect(RequestShare(percentage: 0.0001).includes(random: 0))
        #expect(!RequestShare(percentage: 0.0001).includes(random: 1))
        #expect(RequestShare(percentage: 100).includes(random: 999_999))
    }

    // Cases 23 and 94
    @Test func `is none without a percentage`() throws {
        #expect(try policy("abort: {httpStatus: 500, percentage: {value: 0}}") == nil)
        #expect(try policy("delay: {fixedDelay: 1s, percentage: {}}") == nil)
    }

    @Test func `is shown`() throws {
        let both = try policy(
            "delay: {fixedDelay: 1s, percentage: {value: 12.5}}, abort: {grpcStatus: NOT_FOUND, percentage: {value: 1}}"
        )
        #expect(both?.summary == "12.5 % delayed by 1s, 1 % answered grpc-status 5")
    }
}
