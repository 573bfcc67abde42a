import HTTP
import Octets
import Testing

@Suite struct `gRPC in header fields` {
    @Test(arguments: [
        ("application/grpc", true), ("application/grpc+proto", true), ("application/grpc+", true),
        ("application/grpc;x=y", false), ("application/grpcfoo", false), ("Application/gRPC", false),
        ("application/grpc-web", false), ("application/grp", false), ("", false), ("text/plain", false),
    ])
    func `is recognised by Envoy's rule`(type: String, isGRPC: Bool) {
        #expect(withOctets(type) { GRPC.isGRPC(contentType: $0) } == isGRPC)
    }

    @Test(arguments: [
        (400, GRPC.Status.internal), (401, .unauthenticated), (403, .permissionDenied), (404, .unimplemented),
        (429, .resourceExhausted), (502, .unavailable), (503, .unavailable), (504, .unavailable), (431, .unknown),
        (408, .unknown), (413, .unknown), (500, .unknown), (501, .unknown), (200, .unknown), (302, .unknown),
    ])
    func `maps HTTP status codes`(status: Int, grpc: GRPC.Status) {
        #expect(GRPC.status(forHTTP: status) == grpc)
    }

    @Test func `writes status numbers`() {
        for status in GRPC.Status.allCases { #expect(status.octets.string == "\(status.rawValue)") }
        #expect(GRPC.Status.unauthenticated.rawValue == 16)
    }

    @Test func `escapes messages`() {
        let output = OctetBuffer()
        withOctets("a%b é\n~") { GRPC.writeMessage($0, to: output) }
        #expect(output.octets.string == "a%25b %C3%A9%0A~")
    }

    @Test(arguments: [
        ("500m", Duration.milliseconds(500)), ("5S", .seconds(5)), ("1H", .seconds(3600)), ("2M", .seconds(120)),
        ("7u", .microseconds(7)), ("99999999n", .nanoseconds(99_999_999)), ("0m", .zero),
        ("99999999H", .seconds(359_999_996_400)), ("00000001S", .seconds(1)),
    ])
    func `reads timeouts`(text: String, duration: Duration) {
        #expect(withOctets(text) { GRPCTimeout($0)?.duration } == duration)
    }

    @Test(arguments: ["", "m", "1", "1x", "-1S", "+1S", "123456789S", "999999999n", "1 S", "1s", "xx", "1.5S", " 1S"])
    func `ignores malformed timeouts`(text: String) {
        #expect(withOctets(text) { GRPCTimeout($0) } == nil)
    }

    @Test(arguments: [
        (Duration.milliseconds(500), "500m"), (.seconds(1), "1000m"), (.microseconds(1_999), "1m"),
        (.microseconds(999), "999u"), (.nanoseconds(1_999), "1u"), (.nanoseconds(12), "12n"), (.zero, "1n"),
        (.seconds(-5), "1n"), (.nanoseconds(-5), "1n"), (Duration(secondsComponent: 0, attosecondsComponent: 5), "1n"),
        (.milliseconds(99_999_999), "99999999m"), (.milliseconds(100_000_000), "100000S"),
        (.seconds(99_999_999), "99999999S"), (.seconds(100_000_000), "1666666M"),
        (.seconds(9_000_000_000), "2500000H"),
        (.seconds(Int64.max), "2562047H"),
    ])
    func `writes what is left of a deadline`(left: Duration, text: String) {
        let output = OctetBuffer()
        GRPCTimeout(remaining: left).write(to: output)
        let headers = HeaderBlock()
        GRPCTimeout(remaining: left).append(to: headers)
        #expect(headers.lines == ["grpc-timeout: \(output.octets.string)"])
        #expect(output.octets.string == text)
    }
}

func withOctets<Result>(_ text: String, _ body: (Octets) -> Result) -> Result {
    var text = text
    return text.withUTF8 { unsafe body(Octets(UnsafeRawBufferPointer($0))) }
}
