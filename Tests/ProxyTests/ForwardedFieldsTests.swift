import HTTP
import Octets
import Testing

@testable import Proxy

@Suite struct `What an edge says of a request` {
    private struct Dice: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 29
        }
    }

    /// Everything that the gateway edits, what it must not touch, and each of them perhaps several times.
    private static let names = [
        "x-forwarded-for", "x-forwarded-proto", "x-request-id", "x-forwarded-client-cert", "x-envoy-a",
        "x-envoy-original-path", "x_forwarded_proto", "x-forwarded_for", "host", "te", "grpc-timeout", "expect",
        "connection", "keep-alive", "upgrade", "http2-settings", "transfer-encoding", "proxy-connection",
        "authorization", "cookie", "x-forwarded-host", "user-agent", "content-type", "a", "z-last",
    ]
    /// Fields that arrive with every copy and every octet, in order.
    private static let untouched: Set<String> = [
        ":method", ":path", "te", "authorization", "cookie", "x-forwarded-host", "user-agent", "content-type", "a",
        "z-last",
    ]

    private typealias Field = (name: String, value: String)

    private static func request(_ dice: inout Dice) -> [Field] {
        var fields: [Field] = [(":method", "POST"), (":path", "/a"), (":authority", "x")]
        for number in 0..<Int.random(in: 1...14, using: &dice) {
            let name = names.randomElement(using: &dice) ?? "a"
            fields.append((name, Int.random(in: 0..<9, using: &dice) == 0 ? "" : "\(name) \(number)"))
        }
        return fields
    }

    private static func block(_ fields: [Field]) -> HeaderBlock {
        let block = HeaderBlock()
        for field in fields {
            unsafe Array(field.name.utf8).withUnsafeBytes { name in
                unsafe Array(field.value.utf8).withUnsafeBytes { value in
                    unsafe block.append(copying: Octets(name), Octets(value))
                }
            }
        }
        return block
    }

    private static func write(_ fields: [Field], isGRPC: Bool, timeLeft: Duration?) -> [Field] {
        let block = block(fields)
        let said = ForwardedFields(
            peer: "10.0.0.9", scheme: "https", requestID: "identifier", isGRPC: isGRPC, timeLeft: timeLeft)
        said.write(to: block, pools: MessagePools())
        return block.fields.map { ($0.name.string, $0.value.string) }
    }

    @Test(arguments: 1...40) func `leaves it exactly once, and everything else unchanged, in any order`(seed: Int) {
        var dice = Dice(state: UInt64(seed) &* 0x9e37_79b9_7f4a_7c15)
        for _ in 0..<250 {
            let sent = Self.request(&dice)
            let isGRPC = Bool.random(using: &dice)
            let timeLeft: Duration? = isGRPC && Bool.random(using: &dice) ? .seconds(3) : nil
            let arrived = Self.write(sent, isGRPC: isGRPC, timeLeft: timeLeft)
            func values(_ name: String) -> [String] { arrived.filter { $0.name == name }.map(\.value) }
            let addresses = sent.filter { $0.name == "x-forwarded-for" && !$0.value.isEmpty }.map(\.value)
            #expect(values("x-forwarded-for") == [(addresses + ["10.0.0.9"]).joined(separator: ",")], "\(sent)")
            #expect(values("x-forwarded-proto") == ["https"], "\(sent)")
            #expect(values("x-request-id") == ["identifier"], "\(sent)")
            let timeouts = sent.filter { $0.name == "grpc-timeout" }.map(\.value)
            #expect(values("grpc-timeout") == (timeLeft == nil ? timeouts : ["3000m"]), "\(sent)")
            #expect(values("expect") == (isGRPC ? [] : sent.filter { $0.name == "expect" }.map(\.value)), "\(sent)")
            for name in Self.names where name.contains("_") || name.contains("envoy") { #expect(values(name) == []) }
            for name in ["host", "connection", "keep-alive", "upgrade", "x-forwarded-client-cert"] {
                #expect(values(name) == [], "\(sent)")
            }
            let kept = arrived.filter { Self.untouched.contains($0.name) }.map { "\($0.name): \($0.value)" }
            #expect(kept == sent.filter { Self.untouched.contains($0.name) }.map { "\($0.name): \($0.value)" })
        }
    }

    @Test func `is not in trailers, where some servers would take it for a field of the section`() {
        let block = Self.block([
            ("x-forwarded-for", "6.6.6.6"), ("grpc-status", "0"), ("x_forwarded_proto", "https"), ("host", "x"),
            ("x-envoy-internal", "true"), ("content-length", "7"), ("x-checksum", "1"), ("x-request-id", "a"),
        ])
        ForwardedFields.clean(trailers: block)
        #expect(block.fields.map { $0.name.string } == ["grpc-status", "x-checksum"])
    }
}
