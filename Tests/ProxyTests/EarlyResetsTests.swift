import HTTP
import Reactor
import Testing

@testable import Proxy
@testable import Telemetry

@Suite struct `Streams that we reset on an endpoint's connection` {
    private func second(_ number: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: number * 1_000_000_000) }

    @Test func `are counted for 30 seconds`() {
        var resets = EarlyResets()
        var answers: [Bool] = []
        for number in 1...10 {
            answers.append(
                resets.isReached(resets: number, streams: 1_000_000, limit: 4, at: second(UInt64(100 + 10 * number))))
        }
        #expect(answers == Array(repeating: false, count: 10))
        let burst = (11...14).map { resets.isReached(resets: $0, streams: 1_000_000, limit: 4, at: second(240)) }
        #expect(burst == [false, false, false, true])
    }

    @Test func `are too many in all when they are more than half, however slowly they come`() {
        var (few, many) = (EarlyResets(), EarlyResets())
        for number in 1...200 {
            let now = second(UInt64(100 * number))
            let areFew = !few.isReached(resets: number, streams: 2 * number + 2, limit: 100, at: now)
            let areMany = many.isReached(resets: number, streams: number + 1, limit: 100, at: now)
            #expect(areFew && areMany == (number == 200))
        }
    }

    private func bench(limit: Int, connections: Int = 10) throws -> (Bench, Server, HTTP2Peer) {
        var limits = Limits()
        limits.upstreamResets = limit
        limits.upstreamConnections = connections
        let bench = try Bench(limits: limits, isHTTP2: true)
        return (bench, try bench.server(), HTTP2Peer(try bench.client(), isServer: false))
    }

    /// Begins a call, lets it reach its endpoint, and cancels it.
    private func cancelOne(_ bench: Bench, _ client: HTTP2Peer) throws {
        let stream = try #require(client.request(["content-type": "application/grpc"]))
        bench.settle()
        client.reset(stream, code: ErrorCode.cancel)
        bench.settle()
    }

    @Test func `make a new connection take over, and streams that are under way end where they are`() throws {
        let (bench, listener, client) = try bench(limit: 3)
        let long = try #require(client.request(["content-type": "application/grpc"]))
        bench.settle()
        let first = HTTP2Peer(try #require(try listener.accept()), isServer: true)
        first.exchange()
        bench.settle()
        for _ in 0..<2 { try cancelOne(bench, client) }
        #expect(try listener.accept() == nil && bench.metrics.value(.upstreamResets) == 0)
        try cancelOne(bench, client)
        let second = HTTP2Peer(try #require(try listener.accept()), isServer: true)
        #expect(bench.metrics.value(.upstreamResets) == 1)
        first.exchange()
        let began = first.streams.count
        _ = client.request(["content-type": "application/grpc"])
        bench.settle()
        first.exchange()
        second.exchange()
        #expect(second.streams.count == 1 && first.streams.count == began)
        let stream = try #require(first.streams.first)
        client.say(long, "late")
        bench.settle()
        first.exchange()
        #expect(bench.active == 2 && first.seen(stream) == ["POST /", "late"])
        first.reset(stream, code: ErrorCode.internalError)
        bench.settle()
        #expect(bench.active == 1)
    }

    @Test func `leave the connection in use while no other can be made`() throws {
        let (bench, listener, client) = try bench(limit: 2)
        try cancelOne(bench, client)
        let first = HTTP2Peer(try #require(try listener.accept()), isServer: true)
        listener.close()
        for _ in 0..<4 { try cancelOne(bench, client) }
        _ = client.request(["content-type": "application/grpc"])
        bench.settle()
        first.exchange()
        #expect(first.streams.count == 6 && bench.active == 1)
    }

    @Test func `drain the only connection that there may be, and the next request has another one`() throws {
        let (bench, listener, client) = try bench(limit: 2, connections: 1)
        _ = try #require(client.request(["content-type": "application/grpc"]))
        bench.settle()
        let first = HTTP2Peer(try #require(try listener.accept()), isServer: true)
        first.exchange()
        for _ in 0..<2 { try cancelOne(bench, client) }
        #expect(try listener.accept() == nil)
        _ = client.request(["content-type": "application/grpc"])
        bench.settle()
        let second = HTTP2Peer(try #require(try listener.accept()), isServer: true)
        second.exchange()
        #expect(second.streams.count == 1 && bench.active == 2)
    }
}
