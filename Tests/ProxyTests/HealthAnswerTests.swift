import Balancing
import HTTP
import Octets
import Testing

@testable import Proxy

@Suite struct `An answer to a health check` {
    private func block(_ fields: [(String, String)]) -> HeaderBlock {
        let block = HeaderBlock()
        for (name, value) in fields {
            var (name, value) = (name, value)
            name.withUTF8 { name in
                value.withUTF8 { value in
                    unsafe block.append(
                        copying: Octets(UnsafeRawBufferPointer(name)), Octets(UnsafeRawBufferPointer(value)))
                }
            }
        }
        return block
    }

    private func http(_ status: String, _ adjust: (inout HealthCheckPolicy) -> Void = { _ in }) -> HealthVerdict? {
        var policy = HealthCheckPolicy(method: .http)
        adjust(&policy)
        var answer = HealthAnswer(policy)
        return answer.headers(block([(":status", status)]), isEnd: false)
    }

    @Test func `by HTTP is judged by its status`() {
        #expect(http("200") == .passed)
        #expect(http("204") == .refused("GET / was answered 204"))
        #expect(http("204") { $0.statuses = [200...200, 202...299] } == .passed)
        #expect(http("503") { $0.path = "/h" } == .refused("GET /h was answered 503"))
        #expect(http("x") == .failed("the answer has no status"))
        #expect(http("103") == nil)
    }

    @Test func `may not begin without an end`() {
        var answer = HealthAnswer(HealthCheckPolicy(method: .http))
        let interim = block([(":status", "103")])
        for _ in 0..<16 { #expect(answer.headers(interim, isEnd: false) == nil) }
        #expect(answer.headers(interim, isEnd: false) == .failed("too many interim answers"))
    }

    private func grpc(_ message: [UInt8], trailers: [(String, String)], status: String = "200") -> HealthVerdict? {
        var answer = HealthAnswer(HealthCheckPolicy(method: .grpc))
        if let verdict = answer.headers(block([(":status", status)]), isEnd: false) { return verdict }
        let verdict = unsafe message.withUnsafeBytes { unsafe answer.data(Octets($0)) }
        return verdict ?? answer.trailers(block(trailers))
    }

    private func message(_ octets: [UInt8]) -> [UInt8] { [0, 0, 0, 0, UInt8(octets.count)] + octets }

    @Test func `by gRPC says SERVING or is none`() {
        let fine = [("grpc-status", "0")]
        #expect(grpc(message([8, 1]), trailers: fine) == .passed)
        #expect(grpc(message([18, 1, 65, 8, 1]), trailers: fine) == .passed, "unknown fields are passed over")
        #expect(grpc(message([]), trailers: fine) == .refused("the server says UNKNOWN"))
        #expect(grpc(message([8, 2]), trailers: fine) == .refused("the server says NOT_SERVING"))
        #expect(grpc(message([8, 3]), trailers: fine) == .refused("the server says SERVICE_UNKNOWN"))
        #expect(grpc(message([8, 1]), trailers: []) == .refused("the answer has no grpc-status"))
        #expect(
            grpc(message([8, 1]), trailers: [("grpc-status", "14")])
                == .refused("the call was answered with grpc-status 14"))
        #expect(grpc([], trailers: fine, status: "503") == .refused("the call was answered with the HTTP status 503"))
    }

    @Test(
        arguments: [
            [], [0], [0, 0, 0, 0], [1, 0, 0, 0, 2, 8, 1], [0, 0, 0, 0, 3, 8, 1], [0, 0, 0, 0, 1, 8, 1],
            [0, 255, 255, 255, 255, 8, 1], [0, 0, 0, 0, 2, 8, 255], [0, 0, 0, 0, 2, 15, 1], [0, 0, 0, 0, 2, 0, 1],
            [0, 0, 0, 0, 3, 18, 9, 1], [0, 0, 0, 0, 2, 9, 1], [0, 0, 0, 0, 2, 13, 1], [0, 0, 0, 0, 2, 8, 4],
            [0, 0, 0, 0, 12] + [UInt8](repeating: 255, count: 12),
            [0, 0, 0, 0, 11, 18] + [UInt8](repeating: 255, count: 9) + [1],
        ] as [[UInt8]])
    func `by gRPC that cannot be read is no pass`(octets: [UInt8]) {
        #expect(grpc(octets, trailers: [("grpc-status", "0")]) == .refused("the answer is no HealthCheckResponse"))
    }

    @Test func `has a largest size`() {
        #expect(grpc([UInt8](repeating: 0, count: 1025), trailers: []) == .refused("the answer is too long"))
    }

    @Test func `without a message names what the server lacks`() {
        var answer = HealthAnswer(HealthCheckPolicy(method: .grpc))
        let unimplemented = answer.headers(block([(":status", "200"), ("grpc-status", "12")]), isEnd: true)
        #expect(unimplemented == .refused("the server has no grpc.health.v1.Health (grpc-status 12)"))
    }

    @Test func `is asked for with a message of Protocol Buffers`() {
        #expect(HealthAnswer.request(service: "") == [0, 0, 0, 0, 0])
        #expect(HealthAnswer.request(service: "ab") == [0, 0, 0, 0, 4, 10, 2, 97, 98])
        let long = HealthAnswer.request(service: String(repeating: "a", count: 200))
        #expect(Array(long.prefix(8)) == [0, 0, 0, 0, 203, 10, 200, 1] && long.count == 208)
    }
}
