import Octets
import Testing

@testable import HTTP

/// One side's encoder, and nghttp2's decoder at the other side.
private final class Wire {
    var encoder: HPACKEncoder
    private var decoder = HPACK(isServer: true)
    private let pools = MessagePools()

    init(isServer: Bool = false) { encoder = HPACKEncoder(isServer: isServer) }
    deinit {
        encoder.close()
        decoder.close()
    }

    typealias Field = (name: String, value: String, isSensitive: Bool)

    static func block(_ fields: [Field]) -> HeaderBlock {
        let block = HeaderBlock()
        for field in fields {
            let (name, value) = (Array(field.name.utf8), Array(field.value.utf8))
            unsafe name.withUnsafeBytes { name in
                unsafe value.withUnsafeBytes { value in
                    let copies = unsafe (block.copy(Octets(name)), block.copy(Octets(value)))
                    block.append(stable: copies.0, copies.1, isSensitive: field.isSensitive)
                }
            }
        }
        return block
    }

    func encode(_ fields: [Field]) throws -> [UInt8] {
        let block = Self.block(fields)
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: HPACKEncoder.bound(block), alignment: 1)
        defer { unsafe room.deallocate() }
        let count = try #require(unsafe encoder.encode(block, into: room))
        #expect(count <= room.count)
        return unsafe Array(room[..<count])
    }

    func encode(_ fields: KeyValuePairs<String, String>) throws -> [UInt8] {
        try encode(fields.map { ($0.key, $0.value, false) })
    }

    /// - Parameter cut: the section comes in two parts, this is the first one's length.
    func decode(_ octets: [UInt8], cut: Int? = nil) -> [Field]? {
        var fields: [Field] = []
        let parts = cut.map { [octets[..<$0], octets[$0...]] } ?? [octets[...]]
        for (number, part) in parts.enumerated() {
            let outcome = unsafe part.withUnsafeBytes {
                unsafe decoder.decode(Octets($0), isFinal: number == parts.count - 1, pools: pools) {
                    fields.append(($0.string, $1.string, $2))
                }
            }
            guard case .done = outcome else { return nil }
        }
        return fields
    }
}

private func hex(_ octets: [UInt8]) -> String {
    octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

@Suite struct `HPACK's encoder` {
    /// RFC 7541 appendix C.3; there `:path` is in the table, which `/index.html` does not show.
    @Test func `writes the sections of the RFC's example`() throws {
        let wire = Wire()
        let common: [Wire.Field] = [(":method", "GET", false), (":scheme", "http", false), (":path", "/", false)]
        let host: Wire.Field = (":authority", "www.example.com", false)
        #expect(hex(try wire.encode(common + [host])) == "828684410f7777772e6578616d706c652e636f6d")
        let second = try wire.encode(common + [host, ("cache-control", "no-cache", false)])
        #expect(hex(second) == "828684be58086e6f2d6361636865")
        let third = try wire.encode([
            ":method": "GET", ":scheme": "https", ":path": "/index.html", ":authority": "www.example.com",
            "custom-key": "custom-value",
        ])
        #expect(hex(third) == "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565")
    }

    @Test func `keeps secrets out of every table`() throws {
        let wire = Wire()
        let fields: [Wire.Field] = [
            ("authorization", "Bearer abc", false), ("proxy-authorization", "Basic xyz", false),
            ("cookie", "pin=1234", false), ("x-key", "secret", true),
        ]
        let once = try wire.encode(fields)
        let again = try wire.encode(fields)
        #expect(once == again)
        let read = try #require(wire.decode(once))
        #expect(read.allSatisfy(\.isSensitive) && read.map(\.value) == fields.map(\.value))
    }

    @Test func `does not push others out with values that pass`() throws {
        let wire = Wire()
        for number in 0..<3 {
            let octets = try wire.encode(["x-request-id": "\(number)", ":path": "/\(number)", "etag": "\(number)"])
            #expect(octets.count == 15 + 4 + 5)
            let read = try #require(wire.decode(octets))
            #expect(read.allSatisfy { !$0.isSensitive } && read.map(\.name) == ["x-request-id", ":path", "etag"])
        }
    }

    @Test func `names a name that the table has`() throws {
        let wire = Wire()
        #expect(try wire.encode(["x-count": "1"]).count == 1 + 8 + 2)
        #expect(try wire.encode(["x-count": "2"]).count == 1 + 2)
        #expect(try wire.encode(["x-count": "1"]).count == 1)
    }

    @Test func `has no table for a server's first sections`() throws {
        let wire = Wire(isServer: true)
        for _ in 0..<4 { #expect(try wire.encode(["server": "portico"]).count == 10) }
        #expect(try wire.encode(["server": "portico"]).count == 9)
        #expect(try wire.encode(["server": "portico"]) == [0xbe])
    }

    @Test func `says first that the table was smaller, then what it is`() throws {
        let wire = Wire()
        _ = wire.decode(try wire.encode(["x-a": "1"]))
        wire.encoder.limitTable(to: 0)
        wire.encoder.limitTable(to: 1_000_000)
        let octets = try wire.encode(["x-a": "1"])
        #expect(Array(octets.prefix(4)) == [0x20, 0x3f, 0xe1, 0x1f])
        #expect(wire.decode(octets)?.first?.value == "1")
        wire.encoder.limitTable(to: 40)
        let smaller = try wire.encode(["x-a": "1", "x-bcdef": "1234567"])
        #expect(Array(smaller.prefix(2)) == [0x3f, 9] && wire.decode(smaller)?.count == 2)
        wire.encoder.limitTable(to: 0)
        let none = try wire.encode(["x-a": "1"])
        #expect(none[0] == 0x20 && none.count == 1 + 1 + 4 + 2)
        #expect(wire.decode(none)?.count == 1)
        #expect(try wire.encode(["x-a": "1"]).count == 1 + 4 + 2)
    }

    @Test(arguments: 1...61) func `names every field of the static table by its index`(index: UInt8) throws {
        let name = try #require(Wire().decode([0x80 | index])?.first?.name)
        let wire = Wire()
        let octets = try wire.encode([(name, "a value of its own", false)])
        // In six bits, or in four where it must not be in the table; 0 would mean that the name follows as a text.
        let named = octets[0] & 0x40 != 0 ? octets[0] & 0x3f : octets[0] & 0x0f
        #expect(named != 0, "\(name)")
        #expect(wire.decode(octets)?.map(\.name) == [name])
    }

    @Test func `refuses a room that may be too small`() throws {
        var encoder = HPACKEncoder(isServer: false)
        defer { encoder.close() }
        let block = Wire.block([("x-a", "1", false)])
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: HPACKEncoder.bound(block) - 1, alignment: 1)
        defer { unsafe room.deallocate() }
        #expect(unsafe encoder.encode(block, into: room) == nil)
    }

    /// Names and values that are often the same, now and then large, and alike where the hash looks.
    private static func field(_ random: inout Dice) -> Wire.Field {
        let names = [
            ":path", ":status", ":authority", "content-type", "cookie", "x-request-id", "accept", "vary", "te",
            "x-forwarded-for", "grpc-timeout", "x-\(random.roll(40))", "authorization", "age",
        ]
        let middle = String(repeating: "ab", count: random.roll(4) == 0 ? random.roll(60) : 3)
        let values = [
            "", "1", "200", "404", "gzip", "/", "\(random.roll(300))", "beginning\(middle)\(random.roll(9))the ending",
            String(repeating: "v", count: random.roll(20) == 0 ? random.roll(5000) : 30),
        ]
        let isSensitive = random.roll(20) == 0
        return (names[random.roll(names.count)], values[random.roll(values.count)], isSensitive)
    }

    @Test(arguments: 1...20) func `is understood by nghttp2's decoder, whatever it is given`(seed: Int) throws {
        var random = Dice(seed: UInt64(seed))
        let wire = Wire(isServer: seed % 2 == 0)
        var octetsSaved = 0
        for turn in 0..<1500 {
            if random.roll(50) == 0 {
                for _ in 0...random.roll(3) { wire.encoder.limitTable(to: UInt32(random.roll(6000))) }
            }
            if random.roll(200) == 0 { wire.encoder.limitTable(to: 4096) }
            if random.roll(100) == 0 { wire.encoder.table?.renumber() }
            let fields = (0..<random.roll(12)).map { _ in Self.field(&random) }
            let octets = try wire.encode(fields)
            let cut = random.roll(3) == 0 ? random.roll(octets.count + 1) : nil
            let read = try #require(wire.decode(octets, cut: cut), "turn \(turn)")
            #expect(read.map(\.name) == fields.map(\.name) && read.map(\.value) == fields.map(\.value), "turn \(turn)")
            #expect(zip(read, fields).allSatisfy { $0.isSensitive || !$1.isSensitive }, "turn \(turn)")
            octetsSaved += fields.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count } - octets.count
        }
        #expect(octetsSaved > 30_000, "the table is of use")
    }
}

@Suite struct `HPACK's decoder` {
    @Test(
        arguments: [
            [0x80], [0xfe], [0xff, 0x00], [0x82, 0x20], [0x82, 0x3f, 0xe1, 0x1f], [0x20, 0x82, 0x20],
            [0x40, 1, 0x61, 1, 0x62, 0xbe, 0x20], [0x82, 0x40], [0x3f, 0xe2, 0x1f],
        ] as [[UInt8]])
    func `refuses what is not in the tables, and sizes that come late or are too large`(octets: [UInt8]) {
        #expect(Wire().decode(octets) == nil)
        for cut in 0...octets.count { #expect(Wire().decode(octets, cut: cut) == nil, "cut at \(cut)") }
    }

    @Test func `knows its fields again, in sections cut anywhere`() throws {
        let octets: [UInt8] = [0x20, 0x3f, 0xe1, 0x1f, 0x82, 0x40, 3, 0x78, 0x2d, 0x61, 1, 0x62, 0xbe, 0x87]
        for cut in 0...octets.count {
            let wire = Wire()
            for _ in 0..<3 {
                let fields = try #require(wire.decode(octets, cut: cut))
                #expect(fields.map(\.name) == [":method", "x-a", "x-a", ":scheme"])
                #expect(fields.map(\.value) == ["GET", "b", "b", "https"])
            }
        }
    }
}
