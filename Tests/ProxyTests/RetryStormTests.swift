import Balancing
import HTTP
import Octets
import Reactor
import Telemetry
import Testing

@testable import Proxy
@testable import Telemetry

/// Clients and endpoints that do anything at any time, under rules that try again, hold back and copy. What is looked
/// for are requests that never end, and, with a sanitizer, memory that is used after it was given back.
@Suite struct `A storm of tries` {
    /// Small, repeatable random numbers.
    private struct Dice: RandomNumberGenerator {
        private var state: UInt64
        init(_ seed: Int) { state = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 | 1 }
        mutating func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state &* 0x2545_f491_4f6c_dd1d
        }
        mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
    }

    private static let rules = [
        "retries: {attempts: 3, retryOn: '5xx,refused-stream,unavailable', perTryTimeout: 300ms}, mirror: {host: b}",
        "retries: {attempts: 2, retryOn: 'gateway-error,cancelled', backoff: 1ms}, "
            + "fault: {delay: {fixedDelay: 50ms, percentage: {value: 50}}, "
            + "abort: {httpStatus: 503, percentage: {value: 5}}}",
        "mirrors: [{destination: {host: b}}, {destination: {host: c}, percentage: {value: 50}}]",
    ]

    private static let large = String(repeating: "v", count: 30_000)

    /// One action of an endpoint on a stream.
    private static func answer(_ server: HTTP2Peer, _ stream: Int, _ dice: inout Dice) {
        switch Int.random(in: 0..<10, using: &dice) {
        case 0: server.answer(stream, [":status": "503"])
        case 1: server.answer(stream, [":status": "503"], isEnd: false)
        case 2: server.answer(stream, [":status": "200", "content-type": "application/grpc", "grpc-status": "14"])
        case 3:
            server.answer(
                stream, [":status": "200", "grpc-status": "1", "x-large": large, "x-larger": large, "x-most": large])
        case 4: server.reset(stream, code: ErrorCode.refusedStream)
        case 5: server.reset(stream, code: ErrorCode.internalError)
        case 6: server.answer(stream, [":status": "200"], isEnd: false)
        case 7:
            server.say(stream, String(repeating: "d", count: Int.random(in: 1...40_000, using: &dice)))
        case 8: server.finish(stream, trailers: dice.chance(50) ? ["grpc-status": "14"] : [:])
        default: server.answer(stream, [":status": "200", "grpc-status": "0"])
        }
    }

    @Test(arguments: 0..<60) func `ends, whatever comes in whatever order`(seed: Int) throws {
        var dice = Dice(seed)
        let timeout: Duration? = dice.chance(50) ? .milliseconds(700) : nil
        let bench = try Bench(servers: 3, isHTTP2: true, timeout: timeout, rule: Self.rules[seed % Self.rules.count])
        let servers = try (0..<2).map { try bench.server($0) }    // the third one refuses
        var peers: [HTTP2Peer] = []
        let client = HTTP2Peer(try bench.client(), isServer: false)
        client.exchange()
        var streams: [Int] = []
        for _ in 0..<120 {
            switch Int.random(in: 0..<12, using: &dice) {
            case 0, 1:
                let isGRPC = dice.chance(50)
                let fields = isGRPC ? ["content-type": "application/grpc"] : [:]
                if streams.count < 40, let stream = client.request(fields) { streams.append(stream) }
            case 2, 3:
                if let stream = streams.randomElement(using: &dice) {
                    client.say(stream, String(repeating: "b", count: Int.random(in: 1...50_000, using: &dice)))
                }
            case 4:
                if let stream = streams.randomElement(using: &dice) {
                    client.finish(stream, trailers: dice.chance(30) ? ["x-end": "1"] : [:])
                }
            case 5:
                if dice.chance(30), let stream = streams.randomElement(using: &dice) {
                    client.reset(stream, code: ErrorCode.cancel)
                }
            case 6: bench.pass(.milliseconds(Int64.random(in: 0...200, using: &dice)))
            case 7:
                if dice.chance(10), let peer = peers.randomElement(using: &dice) { peer.goAway() }
            default:
                if let peer = peers.randomElement(using: &dice), let stream = peer.streams.randomElement(using: &dice) {
                    Self.answer(peer, stream, &dice)
                }
            }
            bench.settle()
            for server in servers {
                while let peer = try server.accept() { peers.append(HTTP2Peer(peer, isServer: true)) }
            }
            for peer in peers { peer.exchange() }
            client.exchange()
        }
        for stream in streams { client.reset(stream, code: ErrorCode.cancel) }
        bench.settle()
        #expect(bench.active == 0)
        bench.pass(Mirrors.longestTime)
        bench.pass(.seconds(1))
        #expect(bench.worker.exchanges.mirrors.count == 0)
        #expect(bench.endpoints.allSatisfy { $0.active == 0 })
    }
}
