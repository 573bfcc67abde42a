import HTTP
import Octets
import Support
import Testing

/// Random mutations of good messages with a fixed seed. `PORTICO_FUZZ_ROUNDS` makes the run longer.
@Suite struct `Hostile HTTP/1.1 octets` {
    private var rounds: Int {
        TestFiles.environment("PORTICO_FUZZ_ROUNDS").flatMap(Int.init) ?? 3000
    }

    private static let requests: [[UInt8]] = [
        crlf("GET /a?b HTTP/1.1\nHost: a\nX-Foo: bar\n\nGET /2 HTTP/1.1\nHost: b\n\n"),
        crlf("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n3;x=y\nabc\nA\n0123456789\n0\nt: v\n\n"),
        crlf("PUT http://a/ HTTP/1.1\nHost: b\nContent-Length: 5\nConnection: close, x\nTE: trailers\n\nhello"),
        crlf("OPTIONS * HTTP/1.1\nHost: [::1]:80\nExpect: 100-continue\nUpgrade: h2c\nConnection: upgrade\n\n"),
    ]
    private static let responses: [[UInt8]] = [
        crlf("HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\nContent-Length: 3\n\nabcHTTP/1.1 204\n\n"),
        crlf("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\nHTTP/1.0 200 OK\n\nuntil close"),
    ]
    private static let spices: [[UInt8]] = [
        [0x0d, 0x0a], [0x0a], [0x0d], [0], [0x20], [0x09], [0x3a], [0xff], Array("0".utf8), Array("chunked".utf8),
        Array("Content-Length: 1\r\n".utf8), Array("Transfer-Encoding: chunked\r\n".utf8),
        Array("ffffffffffffffff".utf8), Array("99999999999999999999".utf8), Array("\r\n\r\n".utf8), Array(",".utf8),
    ]

    @Test func `neither trap nor read differently in other pieces`() {
        var random = Random(state: 20_261_121)
        for round in 0..<rounds {
            let isRequest = round % 3 != 0
            let seeds = isRequest ? Self.requests : Self.responses
            let text = Self.mutated(seeds[random.below(seeds.count)], &random)
            let piece = 1 + random.below(9)
            let whole = Self.read(text, isRequest: isRequest, piece: .max)
            let pieces = Self.read(text, isRequest: isRequest, piece: piece)
            let octets = Self.read(text, isRequest: isRequest, piece: 1)
            #expect(whole.happenings == pieces.happenings, "seed round \(round), piece \(piece): \(text)")
            #expect(whole.happenings == octets.happenings, "seed round \(round), octets: \(text)")
        }
    }

    /// What the gateway makes of a request must mean the same to the next server: no request in it that
    /// the gateway did not see, no body of another length.
    @Test func `are passed on with one meaning`() throws {
        var random = Random(state: 42)
        for round in 0..<rounds {
            let seeds = Self.requests
            let text = Self.mutated(seeds[random.below(seeds.count)], &random)
            let seen = HTTP1Reading.requests(text)
            let written = try Self.passedOn(text)
            let next = HTTP1Reading.requests(written)
            #expect(next.error == nil, "seed round \(round): \(text)")
            #expect(next.ends == next.heads.count && next.pending.isEmpty, "seed round \(round): \(text)")
            #expect(next.ends <= seen.ends, "seed round \(round): \(text)")
            #expect(Array(seen.bodies.prefix(next.bodies.count)) == next.bodies, "seed round \(round): \(text)")
        }
    }

    /// HTTP/2 lets through names and values that HTTP/1.1 cannot carry; the serializer stands between.
    @Test func `in header blocks never become another message`() {
        var random = Random(state: 1999)
        let spices: [[UInt8]] = Self.spices + [Array(":".utf8), Array("/".utf8), Array("a".utf8)]
        var written = 0
        for round in 0..<rounds {
            let headers = HeaderBlock()
            let names = ["x-a", "cookie", "content-length", "host", ":path", ":authority", "transfer-encoding", "te"]
            if random.below(8) > 0 {
                headers.append(stable: ":method", "POST")
                headers.append(stable: ":authority", "a")
                headers.append(stable: ":path", "/a")
            }
            for _ in 0..<random.below(6) {
                let spice = spices[random.below(spices.count)]
                let value = Array("v".utf8) + spice + spices[random.below(spices.count)]
                let name = names[random.below(names.count)] + (random.below(4) == 0 ? "\r\n" : "")
                Self.append(name, value, to: headers)
            }
            let output = OctetBuffer()
            guard (try? HTTP1Serializer.writeRequest(headers, framing: .chunked, to: output)) != nil else {
                #expect(output.isEmpty)
                continue
            }
            HTTP1Serializer.writeLastChunk(to: output)
            let next = HTTP1Reading.requests(output.octets.array)
            #expect(next.ends == 1 && next.error == nil && next.pending.isEmpty, "seed round \(round)")
            #expect(next.heads.first?.framing == .chunked)
            #expect(next.lines.count <= headers.count + 1, "seed round \(round)")
            written += 1
        }
        #expect(written > rounds / 2)
    }

    private static func append(_ name: String, _ value: [UInt8], to headers: HeaderBlock) {
        withOctets(name) { name in
            unsafe value.withUnsafeBytes { unsafe headers.append(copying: name, Octets($0)) }
        }
    }

    /// The complete requests of `text`, as the serializer writes them towards an upstream.
    private static func passedOn(_ text: [UInt8]) throws -> [UInt8] {
        let headers = HeaderBlock()
        let whole = OctetBuffer()
        var one: OctetBuffer?
        var parser = HTTP1Parser(role: .request(.http), limits: .request)
        try unsafe text.withUnsafeBytes { buffer in
            var rest = unsafe Octets(buffer)
            var framing = HTTP1Framing.none
            while true {
                guard let (consumed, event) = try? parser.next(rest, headers: headers) else { return }
                rest = rest.dropFirst(consumed)
                switch event {
                case .needsMore: return
                case .head(let head):
                    framing = head.framing
                    one = OctetBuffer()
                    guard headers.first(.method) != "CONNECT" else { return }
                    try one.map { try HTTP1Serializer.writeRequest(headers, framing: framing, to: $0) }
                case .body(let data):
                    if framing != .chunked { one?.append(data) }
                    if framing == .chunked { one.map { HTTP1Serializer.writeChunk(data, to: $0) } }
                case .end:
                    if framing == .chunked { one.map { HTTP1Serializer.writeLastChunk(to: $0) } }
                    one.map { whole.append($0.octets) }
                }
            }
        }
        return whole.octets.array
    }

    private static func read(_ text: [UInt8], isRequest: Bool, piece: Int) -> HTTP1Reading {
        isRequest ? .requests(text, piece: piece) : .responses(text, to: ["GET", "GET", "HEAD"], piece: piece)
    }

    private static func mutated(_ text: [UInt8], _ random: inout Random) -> [UInt8] {
        var text = text
        for _ in 0..<random.below(4) {
            let place = random.below(text.count)
            switch random.below(5) {
            case 0: text[place] = UInt8(truncatingIfNeeded: random.below(256))
            case 1: text.remove(at: place)
            case 2: text.insert(contentsOf: spices[random.below(spices.count)], at: place)
            case 3: text.removeSubrange(place..<min(text.count, place + 1 + random.below(8)))
            default: text.insert(contentsOf: text[place...].prefix(random.below(24)), at: place)
            }
            if text.isEmpty { text = [0x47] }
        }
        return text
    }
}

/// SplitMix64: the same numbers in every run.
struct Random {
    var state: UInt64

    mutating func below(_ limit: Int) -> Int {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return Int((mixed ^ (mixed >> 31)) % UInt64(max(limit, 1)))
    }
}
