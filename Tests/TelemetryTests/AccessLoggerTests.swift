import Glibc
import Octets
import Reactor
import Testing

@testable import Telemetry

@Suite struct `The access log` {
    /// Everything that `body` logs, as it reaches the descriptor.
    private func logged(
        _ format: AccessLogFormat, _ body: (AccessLogger) -> Void
    ) throws -> String {
        let pipe = try Pipe()
        pipe.widen()
        let writer = try LogWriter(descriptor: pipe.writing)
        let logger = AccessLogger(format: format, writer: writer)
        body(logger)
        logger.endTurn()
        #expect(writer.finish(within: .seconds(10)))
        pipe.closeWriting()
        return String(decoding: pipe.readToEnd(), as: UTF8.self)
    }

    private func withRecord(_ body: (inout AccessLogEntry) -> Void) -> AccessLogEntry {
        var record = AccessLogEntry(start: WallTime(seconds: 1_795_237_779, nanoseconds: 698_999_999))
        body(&record)
        return record
    }

    private var full: AccessLogEntry {
        withRecord {
            $0.method = "POST"
            $0.path = "/helloworld.Greeter/SayHello?a=b"
            $0.protocol = .http2
            $0.status = 503
            $0.flags = "UF"
            $0.tries = 3
            $0.details = "upstream_reset_before_response_started{connection failure}"
            $0.upstreamFailure = "delayed connect error: Connection refused"
            $0.bytesReceived = 12
            $0.bytesSent = 34
            $0.durationNanoseconds = 5_999_999
            $0.upstreamServiceNanoseconds = 4_000_000
            $0.forwardedFor = "10.0.0.1"
            $0.userAgent = "grpc-python/1.70.0"
            $0.requestID = "7c9d"
            $0.authority = "main.example.com"
            $0.upstreamHost = "127.0.1.1:50051"
            $0.cluster = "outbound|50051|v1|main.default.svc.cluster.local"
            $0.upstreamLocal = "127.0.0.1:41000"
            $0.downstreamLocal = "127.0.0.1:8443"
            $0.downstreamRemote = "10.0.0.1:3333"
            $0.serverName = "main.example.com"
            $0.routeName = "main route"
        }
    }

    @Test func `writes Istio's default text`() throws {
        let line = """
            [2026-11-21T05:09:39.698Z] "POST /helloworld.Greeter/SayHello?a=b HTTP/2" 503 UF \
            upstream_reset_before_response_started{connection_failure} - \
            "delayed_connect_error:_Connection_refused" 12 34 5 4 "10.0.0.1" "grpc-python/1.70.0" "7c9d" \
            "main.example.com" "127.0.1.1:50051" outbound|50051|v1|main.default.svc.cluster.local \
            127.0.0.1:41000 127.0.0.1:8443 10.0.0.1:3333 main.example.com main_route

            """
        #expect(try logged(.text) { $0.log(full) } == line)
    }

    @Test func `writes dashes for what is absent`() throws {
        let line = """
            [2026-11-21T05:09:39.698Z] "- - HTTP/1.1" 0 - - - "-" 0 0 0 - "-" "-" "-" "-" "-" - - - - - -

            """
        #expect(try logged(.text) { $0.log(withRecord { _ in }) } == line)
    }

    @Test func `writes JSON with sorted keys`() throws {
        let line = """
            {"authority":"main.example.com","bytes_received":12,"bytes_sent":34,\
            "connection_termination_details":null,"downstream_local_address":"127.0.0.1:8443",\
            "downstream_remote_address":"10.0.0.1:3333","duration":5,"method":"POST",\
            "path":"/helloworld.Greeter/SayHello?a=b","protocol":"HTTP/2","request_id":"7c9d",\
            "requested_server_name":"main.example.com","response_code":503,"response_code_details":\
            "upstream_reset_before_response_started{connection failure}","response_flags":"UF",\
            "route_name":"main route","start_time":"2026-11-21T05:09:39.698Z","upstream_cluster":\
            "outbound|50051|v1|main.default.svc.cluster.local","upstream_host":"127.0.1.1:50051",\
            "upstream_local_address":"127.0.0.1:41000","upstream_request_attempt_count":3,\
            "upstream_service_time":"4",\
            "upstream_transport_failure_reason":"delayed connect error: Connection refused",\
            "user_agent":"grpc-python/1.70.0","x_forwarded_for":"10.0.0.1"}

            """
        #expect(try logged(.json) { $0.log(full) } == line)
    }

    @Test func `writes null in JSON for what is absent`() throws {
        let line = """
            {"authority":null,"bytes_received":0,"bytes_sent":0,"connection_termination_details":null,\
            "downstream_local_address":null,"downstream_remote_address":null,"duration":0,"method":null,\
            "path":null,"protocol":"HTTP/1.1","request_id":null,"requested_server_name":null,\
            "response_code":0,"response_code_details":null,"response_flags":"-","route_name":null,\
            "start_time":"2026-11-21T05:09:39.698Z","upstream_cluster":null,"upstream_host":null,\
            "upstream_local_address":null,"upstream_request_attempt_count":0,"upstream_service_time":null,\
            "upstream_transport_failure_reason":null,"user_agent":null,"x_forwarded_for":null}

            """
        #expect(try logged(.json) { $0.log(withRecord { _ in }) } == line)
    }

    @Test(
        arguments: [
            ([], "UF", "UF"), ([.retriesExhausted], "UF", "URX,UF"), ([.delayInjected, .faultInjected], "", "DI,FI"),
            ([], "", "-"),
        ] as [([EarlierFlags], StaticString, String)])
    func `joins flags in their order`(earlier: [EarlierFlags], flag: StaticString, written: String) throws {
        let record = withRecord {
            $0.flags = flag
            for one in earlier { $0.earlierFlags.insert(one) }
        }
        #expect(try logged(.text) { $0.log(record) }.contains(" 0 \(written) - - "))
        #expect(try logged(.json) { $0.log(record) }.contains("\"response_flags\":\"\(written)\""))
    }

    @Test func `is silent when it is off`() throws {
        #expect(try logged(.off) { $0.log(full) } == "")
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00"), (951_782_399, "2000-02-28T23:59:59"), (951_782_400, "2000-02-29T00:00:00"),
        (1_709_251_200, "2024-03-01T00:00:00"), (4_107_542_399, "2100-02-28T23:59:59"),
        (4_107_542_400, "2100-03-01T00:00:00"), (-5, "1970-01-01T00:00:00"), (.max, "9999-12-31T23:59:59"),
    ])
    func `writes dates`(seconds: Int, text: String) throws {
        let line = try logged(.text) {
            $0.log(AccessLogEntry(start: WallTime(seconds: seconds, nanoseconds: 7_000_000)))
        }
        #expect(line.hasPrefix("[\(text).007Z]"))
    }

    /// What a peer may send, how the text shows it, how JSON shows it.
    static let hostile: [(octets: [UInt8], text: String, json: String)] = [
        (Array("a\nb\r\tc".utf8), "a\\x0ab\\x0d\\x09c", "a\\u000ab\\u000d\\u0009c"),
        (Array("\"} {\"x\\".utf8), "\\\"} {\\\"x\\\\", "\\\"} {\\\"x\\\\"),
        ([0x00, 0x1b, 0x7f], "\\x00\\x1b\\x7f", "\\u0000\\u001b\\u007f"),
        (Array("grüße 🦆".utf8), "grüße 🦆", "grüße 🦆"),
        ([0x61, 0xff, 0x62], "a\\xffb", "a\\ufffdb"),
        ([0xe2, 0x82], "\\xe2\\x82", "\\ufffd\\ufffd"),
        ([0xc0, 0xaf], "\\xc0\\xaf", "\\ufffd\\ufffd"),
        ([0xed, 0xa0, 0x80], "\\xed\\xa0\\x80", "\\ufffd\\ufffd\\ufffd"),
        ([0xf5, 0x80, 0x80, 0x80], "\\xf5\\x80\\x80\\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"),
        ([0xf4, 0x90, 0x80, 0x80], "\\xf4\\x90\\x80\\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"),
        (Array("a\u{85}b\u{2028}c".utf8), "a\\xc2\\x85b\\xe2\\x80\\xa8c", "a\\u0085b\\u2028c"),
        // What turns the direction of a text: `/exe.gpj` would read as `/jpg.exe`.
        (Array("/\u{202e}gpj".utf8), "/\\xe2\\x80\\xaegpj", "/\\u202egpj"),
        (
            Array("\u{202a}\u{2066}\u{2069}".utf8), "\\xe2\\x80\\xaa\\xe2\\x81\\xa6\\xe2\\x81\\xa9",
            "\\u202a\\u2066\\u2069"
        ),
        (
            Array("\u{200f}\u{61c}\u{2065}\u{206a}".utf8), "\\xe2\\x80\\x8f\\xd8\\x9c\u{2065}\u{206a}",
            "\\u200f\\u061c\u{2065}\u{206a}"
        ),
    ]

    @Test(arguments: hostile.indices)
    func `escapes what could break a line`(index: Int) throws {
        let (octets, text, json) = Self.hostile[index]
        unsafe try octets.withUnsafeBytes { buffer in
            let octets = unsafe Octets(buffer)
            let line = try logged(.text) { $0.log(withRecord { $0.userAgent = octets }) }
            #expect(line.hasSuffix(" - \"-\" \"\(text)\" \"-\" \"-\" \"-\" - - - - - -\n"))
            let object = try logged(.json) { $0.log(withRecord { $0.userAgent = octets }) }
            #expect(object.hasSuffix(",\"user_agent\":\"\(json)\",\"x_forwarded_for\":null}\n"))
        }
    }

    @Test func `keeps a column without quotes together`() throws {
        let line = try logged(.text) { $0.log(withRecord { $0.serverName = "a b\"c" }) }
        #expect(line.hasSuffix(" a_b\\\"c -\n"))
    }

    @Test func `cuts a field that is too long`() throws {
        let path = [UInt8](repeating: 0x61, count: 60_000)
        let line = unsafe try path.withUnsafeBytes { octets in
            let path = unsafe Octets(octets)
            return try logged(.text) {
                $0.log(withRecord { $0.path = path })
                #expect($0.endTurn() == 1 && $0.endTurn() == 0)
            }
        }
        #expect(line.contains(" " + String(repeating: "a", count: 8192) + "... HTTP/1.1"))
        #expect(line.utf8.count < 9000)
    }

    @Test(arguments: [(AccessLogEscaping.fieldLimit, false), (AccessLogEscaping.fieldLimit + 1, true)])
    func `says of a field whether it was cut`(length: Int, isCut: Bool) {
        let line = OctetBuffer(capacity: 16_384)
        let wasCut = String(repeating: "a", count: length).withOctets {
            AccessLogEscaping.quoted.append($0, to: line)
        }
        #expect(wasCut == isCut && line.octets.string.hasSuffix("...") == isCut)
    }

    @Test func `hands over in the middle of a long turn, in order`() throws {
        let text = try logged(.text) { logger in
            for status in 0..<3000 { logger.log(withRecord { $0.status = status }) }
        }
        let lines = text.split(separator: "\n")
        #expect(lines.count == 3000)
        #expect(lines.enumerated().allSatisfy { $1.contains("\" \($0) - -") })
    }
}
