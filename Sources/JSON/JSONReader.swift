package import Octets

/// A text of the JSON that is read: the octets between the quotes, and whether they have escape sequences.
package struct JSONString: Sendable, Equatable {
    /// Its octets in what is read, without the quotes.
    package let range: Range<Int>
    /// Whether `\` is among them.
    package let hasEscapes: Bool
}

/// One step through a JSON text.
package enum JSONToken: Sendable, Equatable {
    case objectStart, objectEnd, arrayStart, arrayEnd
    /// The name of a field, whose value is next.
    case key(JSONString)
    case string(JSONString)
    case number(Range<Int>)
    case bool(Bool)
    case null
    /// The whole value was read, and nothing follows it.
    case end
}

/// Reads one JSON value, token by token. It is strict: nothing is accepted that RFC 8259 does not allow, texts must be
/// UTF-8 (RFC 3629) without unpaired surrogates. It allocates nothing, does not call itself, and traps on no input.
/// Names that occur twice in an object are the reader's caller's concern.
///
/// It refers to octets that another object owns and must not outlive them; `JSONReader.read` sees to that.
/// Source: RFC 8259.
package struct JSONReader {
    /// The most open objects and arrays.
    package static let mostOpen = 120
    /// The most octets of a number.
    package static let longestNumber = 64

    private enum Wanted {
        case value, valueOrEnd, key, keyOrEnd, commaOrEnd, nothing
    }

    let octets: Octets
    /// How many octets were read.
    package private(set) var position = 0
    private var wanted = Wanted.value
    /// One bit for each open object (1) or array (0); the innermost is the lowest.
    private var open: UInt128 = 0
    /// How many objects and arrays are open.
    package private(set) var depth = 0

    /// Reads octets, which must stay as long as the reader is used.
    package init(_ octets: Octets) { self.octets = octets }

    /// Reads octets of an array.
    /// - Parameters:
    ///   - range: which of them; nil: all.
    ///   - body: reads; what it returns must not have the reader.
    package static func read<Result>(
        _ array: [UInt8], in range: Range<Int>? = nil, _ body: (inout JSONReader) throws(JSONError) -> Result
    ) throws(JSONError) -> Result {
        unsafe try array.span.withUnsafeBytes { (buffer) throws(JSONError) in
            let all = unsafe Octets(buffer)
            var reader = JSONReader(range.map { all.slice($0.lowerBound, $0.upperBound) } ?? all)
            return try body(&reader)
        }
    }

    /// Reads one token. After the whole text that is `end`, each time.
    /// - Throws: where the text breaks the grammar or a limit.
    package mutating func next() throws(JSONError) -> JSONToken {
        skipSpace()
        switch wanted {
        case .value: return try value()
        case .valueOrEnd: return peek == UInt8(ascii: "]") ? try close(false) : try value()
        case .key: return try key()
        case .keyOrEnd: return peek == UInt8(ascii: "}") ? try close(true) : try key()
        case .commaOrEnd: return try afterValue()
        case .nothing:
            guard position == octets.count else { throw error(.trailing) }
            return .end
        }
    }

    /// An error where the reader is.
    func error(_ kind: JSONError.Kind) -> JSONError { JSONError(kind, at: position) }

    private var isInObject: Bool { open & 1 == 1 }

    private var peek: UInt8? { position < octets.count ? octets[position] : nil }

    private mutating func skipSpace() {
        while position < octets.count {
            let octet = octets[position]
            guard octet == 0x20 || octet == 0x0A || octet == 0x0D || octet == 0x09 else { return }
            position += 1
        }
    }

    // MARK: structure

    private mutating func afterValue() throws(JSONError) -> JSONToken {
        switch peek {
        case UInt8(ascii: ","):
            position += 1
            skipSpace()
            return isInObject ? try key() : try value()
        case UInt8(ascii: "}"): return try close(true)
        case UInt8(ascii: "]"): return try close(false)
        case nil: throw error(.endsEarly)
        case .some: throw error(.unexpected)
        }
    }

    private mutating func close(_ isObject: Bool) throws(JSONError) -> JSONToken {
        guard depth > 0, isInObject == isObject else { throw error(.wrongBracket) }
        position += 1
        depth -= 1
        open >>= 1
        valueEnded()
        return isObject ? .objectEnd : .arrayEnd
    }

    private mutating func valueEnded() { wanted = depth == 0 ? .nothing : .commaOrEnd }

    /// Reads the end of the innermost array if it is next; otherwise what separates its elements.
    mutating func endsArray() throws(JSONError) -> Bool {
        skipSpace()
        if peek == UInt8(ascii: "]") {
            _ = try next()
            return true
        }
        if wanted == .commaOrEnd, peek == UInt8(ascii: ",") {
            position += 1
            wanted = .value
        }
        return false
    }

    private mutating func begin(_ isObject: Bool) throws(JSONError) -> JSONToken {
        guard depth < Self.mostOpen else { throw error(.tooDeep) }
        position += 1
        depth += 1
        open = open << 1 | (isObject ? 1 : 0)
        wanted = isObject ? .keyOrEnd : .valueOrEnd
        return isObject ? .objectStart : .arrayStart
    }

    private mutating func key() throws(JSONError) -> JSONToken {
        guard let octet = peek else { throw error(.endsEarly) }
        guard octet == UInt8(ascii: "\"") else { throw error(.unexpected) }
        let name = try string()
        skipSpace()
        guard let colon = peek else { throw error(.endsEarly) }
        guard colon == UInt8(ascii: ":") else { throw error(.unexpected) }
        position += 1
        wanted = .value
        return .key(name)
    }

    private mutating func value() throws(JSONError) -> JSONToken {
        guard let octet = peek else { throw error(.endsEarly) }
        switch octet {
        case UInt8(ascii: "\""):
            let text = try string()
            valueEnded()
            return .string(text)
        case UInt8(ascii: "{"): return try begin(true)
        case UInt8(ascii: "["): return try begin(false)
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw error(.unexpected)
        }
    }

    private mutating func word(_ word: StaticString, _ token: JSONToken) throws(JSONError) -> JSONToken {
        guard octets.slice(position, position + word.utf8CodeUnitCount) == Octets(word) else {
            throw error(.unexpected)
        }
        position += word.utf8CodeUnitCount
        valueEnded()
        return token
    }

    // MARK: numbers

    private mutating func number() throws(JSONError) -> JSONToken {
        let start = position
        if peek == UInt8(ascii: "-") { position += 1 }
        if peek == UInt8(ascii: "0") { position += 1 } else { try digits() }
        if peek == UInt8(ascii: ".") {
            position += 1
            try digits()
        }
        if let octet = peek, octet | 0x20 == UInt8(ascii: "e") {
            position += 1
            if let sign = peek, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position += 1 }
            try digits()
        }
        guard position - start <= Self.longestNumber else { throw JSONError(.longNumber, at: start) }
        valueEnded()
        return .number(start..<position)
    }

    private mutating func digits() throws(JSONError) {
        guard let first = peek, first.isDigit else { throw error(.badNumber) }
        while let octet = peek, octet.isDigit { position += 1 }
    }

    // MARK: texts

    /// Reads a text, at whose first quote the reader is.
    private mutating func string() throws(JSONError) -> JSONString {
        let start = position + 1
        var hasEscapes = false
        position = start
        while true {
            position = JSONOctets.endOfPlain(octets, from: position)
            guard let octet = peek else { throw error(.endsEarly) }
            switch octet {
            case UInt8(ascii: "\""):
                position += 1
                return JSONString(range: start..<(position - 1), hasEscapes: hasEscapes)
            case UInt8(ascii: "\\"):
                hasEscapes = true
                guard let length = JSONOctets.escapeLength(octets, at: position) else { throw error(.badEscape) }
                position += length
            case 0x80...:
                guard let length = JSONOctets.sequenceLength(octets, at: position) else { throw error(.badUTF8) }
                position += length
            default: throw error(.control)
            }
        }
    }
}

// MARK: - Values that somebody else checks

extension JSONReader {
    /// Finds the end of a value, without checking more than that its brackets are balanced outside of texts. It may be
    /// nested as deep as it likes, and its texts may have any octets: whoever reads it checks it, so that one faulty
    /// object does not make a list of objects unreadable.
    /// - Returns: its octets.
    @discardableResult package mutating func pass() throws(JSONError) -> Range<Int> {
        skipSpace()
        guard wanted == .value || wanted == .valueOrEnd else { throw error(.unexpected) }
        let start = position
        var brackets = 0
        repeat { try passPart(&brackets) } while brackets > 0
        valueEnded()
        return start..<position
    }

    /// Passes a bracket, a text, or what is between them.
    private mutating func passPart(_ brackets: inout Int) throws(JSONError) {
        guard let octet = peek else { throw error(.endsEarly) }
        switch octet {
        case UInt8(ascii: "\""): return try passText()
        case UInt8(ascii: "{"), UInt8(ascii: "["): brackets += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            guard brackets > 0 else { throw error(.unexpected) }
            brackets -= 1
        case UInt8(ascii: ","), UInt8(ascii: ":"): guard brackets > 0 else { throw error(.unexpected) }
        case 0x20, 0x0A, 0x0D, 0x09: break
        default: return passWord()
        }
        position += 1
    }

    private mutating func passText() throws(JSONError) {
        position += 1
        while true {
            position = JSONOctets.endOfPlain(octets, from: position)
            guard let octet = peek else { throw error(.endsEarly) }
            if octet == UInt8(ascii: "\"") { break }
            position += octet == UInt8(ascii: "\\") ? 2 : 1
        }
        position += 1
    }

    /// Passes a number, a word, or something that is neither of them.
    private mutating func passWord() {
        while let octet = peek {
            switch octet {
            case UInt8(ascii: "\""), UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "}"), UInt8(ascii: "]"),
                UInt8(ascii: ","), UInt8(ascii: ":"), 0x20, 0x0A, 0x0D, 0x09:
                return
            default: position += 1
            }
        }
    }
}
