import JSON
import Testing

@Suite struct ReaderTests {
    /// The tokens of a text, as a short form of it.
    static func tokens(_ text: [UInt8]) throws(JSONError) -> String {
        try JSONReader.read(text) { (reader) throws(JSONError) in
            var short: [String] = []
            while true {
                switch try reader.next() {
                case .objectStart: short.append("{")
                case .objectEnd: short.append("}")
                case .arrayStart: short.append("[")
                case .arrayEnd: short.append("]")
                case .key(let text): short.append(reader.string(text) + ":")
                case .string(let text): short.append("'\(reader.string(text))'")
                case .number(let range):
                    var octets: [UInt8] = []
                    reader.append(range, to: &octets)
                    short.append(String(decoding: octets, as: UTF8.self))
                case .bool(let value): short.append("\(value)")
                case .null: short.append("null")
                case .end: return short.joined(separator: " ")
                }
            }
        }
    }

    static func kind(_ text: [UInt8]) -> JSONError? {
        do throws(JSONError) {
            _ = try tokens(text)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        ("{}", "{ }"), ("[]", "[ ]"), (" null\r\n\t", "null"), ("true", "true"), ("false", "false"),
        (#"{"a":1,"b":[true,null,"x"],"c":{"d":{}}}"#, "{ a: 1 b: [ true null 'x' ] c: { d: { } } }"),
        (
            "[0, -0, 10, 1.5, -1.25e+10, 1E-2, 123456789012345678901234567890]",
            "[ 0 -0 10 1.5 -1.25e+10 1E-2 123456789012345678901234567890 ]"
        ),
        (#""\"\\\/\b\f\n\r\t""#, "'\"\\/\u{8}\u{c}\n\r\t'"), (#""\u00e9\u20AC\ud83d\ude00\u0000""#, "'é€😀\0'"),
        (#""long enough to be read by words: é€😀 and on""#, "'long enough to be read by words: é€😀 and on'"),
        (#"{"\u0061":"","a":""}"#, "{ a: '' a: '' }"), ("[[[[]]]]", "[ [ [ [ ] ] ] ]"),
    ])
    func `reads each form of a value`(text: String, short: String) throws {
        #expect(try Self.tokens(Array(text.utf8)) == short)
    }

    @Test(
        arguments: [
            ("", .endsEarly, 0), ("{", .endsEarly, 1), ("[1", .endsEarly, 2), ("[1,", .endsEarly, 3),
            ("\"a", .endsEarly, 2),
            (#"{"a""#, .endsEarly, 4), (#"{"a":"#, .endsEarly, 5), ("[1,]", .unexpected, 3),
            (#"{"a":1,}"#, .unexpected, 7),
            ("{,}", .unexpected, 1), ("[1 2]", .unexpected, 3), (#"{"a" 1}"#, .unexpected, 5),
            ("{1:2}", .unexpected, 1),
            ("nul", .unexpected, 0), ("True", .unexpected, 0), ("'a'", .unexpected, 0), ("NaN", .unexpected, 0),
            ("// a\n1", .unexpected, 0), ("\u{feff}1", .unexpected, 0), ("}", .unexpected, 0), ("[}", .unexpected, 1),
            ("[1}", .wrongBracket, 2), (#"{"a":1]"#, .wrongBracket, 6), ("1 2", .trailing, 2), ("{}{}", .trailing, 2),
            ("{}\0", .trailing, 2), ("01", .trailing, 1), ("-", .badNumber, 1), ("1.", .badNumber, 2),
            ("1e", .badNumber, 2),
            ("-a", .badNumber, 1), (".5", .unexpected, 0), ("+1", .unexpected, 0), ("0x1", .trailing, 1),
            (String(repeating: "1", count: 65), .longNumber, 0), (#""\x""#, .badEscape, 1),
            (#""\u12g4""#, .badEscape, 1),
            (#""\ud800""#, .badEscape, 1), (#""\ud800\u0041""#, .badEscape, 1), (#""\udc00\ud800""#, .badEscape, 1),
            (#""\u12"#, .badEscape, 1), ("\"\\", .badEscape, 1), ("\"a\nb\"", .control, 2), ("\"a\0b\"", .control, 2),
        ] as [(String, JSONError.Kind, Int)])
    func `refuses what is no JSON, and says where`(text: String, kind: JSONError.Kind, offset: Int) {
        #expect(Self.kind(Array(text.utf8)) == JSONError(kind, at: offset))
    }

    /// Overlong forms, surrogates, what is beyond U+10FFFF, and sequences that end too early.
    @Test(
        arguments: [
            [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC2], [0xC2, 0x20], [0xE0, 0x9F, 0xBF], [0xE2, 0x82],
            [0xED, 0xA0, 0x80],
            [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF], [0xF0, 0x9F, 0x98],
            [0xE2, 0x82, 0xAC, 0x80],
        ] as [[UInt8]])
    func `refuses what is not UTF-8`(octets: [UInt8]) {
        let quote = UInt8(ascii: "\"")
        for prefix in ["", "abc", "abcdefghij"] {
            #expect(Self.kind([quote] + Array(prefix.utf8) + octets + [quote])?.kind == .badUTF8)
        }
    }

    @Test func `each kind of octet ends a run of plain ones at each place of a word`() throws {
        for length in 0..<20 {
            let plain = String(repeating: "x", count: length)
            #expect(try Self.tokens(Array("\"\(plain)\"".utf8)) == "'\(plain)'")
            #expect(try Self.tokens(Array("\"\(plain)\\n\(plain)\"".utf8)) == "'\(plain)\n\(plain)'")
            #expect(try Self.tokens(Array("\"\(plain)é\(plain)\"".utf8)) == "'\(plain)é\(plain)'")
            #expect(Self.kind(Array("\"\(plain)\u{1F}\(plain)\"".utf8)) == JSONError(.control, at: length + 1))
        }
    }

    @Test func `nests as deep as it may, and no deeper`() {
        let most = JSONReader.mostOpen
        for (open, close) in [("[", "]"), (#"{"a":"#, "}")] {
            let good = String(repeating: open, count: most) + "1" + String(repeating: close, count: most)
            #expect(Self.kind(Array(good.utf8)) == nil)
            #expect(Self.kind(Array((open + good + close).utf8))?.kind == .tooDeep)
            #expect(Self.kind(Array(String(repeating: open, count: 1_000_000).utf8))?.kind == .tooDeep)
        }
    }

    @Test func `fields that nobody reads are skipped, and checked`() throws {
        let text = Array(#"{"a":{"x":[1,{"y":2}]},"b":"found","c":[[],{}],"d":7,"e":null}"#.utf8)
        var found = ""
        var number: Int?
        try JSONReader.read(text) { (reader) throws(JSONError) in
            try reader.fields { (name, reader) throws(JSONError) in
                if reader.equals(name, "b") { found = try reader.text() ?? "" }
                if reader.equals(name, "d") { number = try reader.integer() }
            }
            try reader.finish()
        }
        #expect(found == "found" && number == 7)
        #expect(throws: JSONError.self) {
            try JSONReader.read(Array(#"{"a":[1,}"#.utf8)) { (reader) throws(JSONError) in
                try reader.fields { (_, _) throws(JSONError) in }
            }
        }
    }

    @Test func `an escaped name is the same name`() throws {
        let text = Array(#"{"\u006eame":"x","nam\u0065s":"y"}"#.utf8)
        var names: [Bool] = []
        try JSONReader.read(text) { (reader) throws(JSONError) in
            try reader.fields { (name, reader) throws(JSONError) in names.append(reader.equals(name, "name")) }
        }
        #expect(names == [true, false])
    }

    @Test(arguments: ["1", "[]", "\"a\"", "null"]) func `what is no object has no fields`(text: String) {
        #expect(throws: JSONError(.wrongType, at: 0)) {
            try JSONReader.read(Array(text.utf8)) { (reader) throws(JSONError) in
                try reader.fields { (_, _) throws(JSONError) in }
            }
        }
    }
}
