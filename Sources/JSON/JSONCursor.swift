internal import Octets

// Reading what is known to be there: the fields of an object, the elements of an array, texts and numbers.

extension JSONReader {
    /// Reads an object. Values that `body` does not read are skipped. A null inside of another value counts as an
    /// object without fields: that is how Go writes a map that was never made.
    /// - Parameter body: gets the name of each field, and may read its value, as a whole or not at all.
    /// - Throws: also if the value is no object, or if the whole text is null.
    package mutating func fields(
        _ body: (JSONString, inout JSONReader) throws(JSONError) -> Void
    ) throws(JSONError) {
        let start = position
        switch try next() {
        case .null where depth > 0: return
        case .objectStart: break
        default: throw JSONError(.wrongType, at: start)
        }
        while case .key(let name) = try next() {
            let before = position
            try body(name, &self)
            if position == before { try skip() }
        }
    }

    /// Reads an array, or null, which counts as an empty one. Elements that `body` does not read are skipped.
    /// - Throws: also if the value is something else.
    package mutating func elements(_ body: (inout JSONReader) throws(JSONError) -> Void) throws(JSONError) {
        let start = position
        switch try next() {
        case .null: return
        case .arrayStart: break
        default: throw JSONError(.wrongType, at: start)
        }
        while try !endsArray() {
            let before = position
            try body(&self)
            if position == before { try skip() }
        }
    }

    /// Reads a text; nil if the value is null.
    package mutating func text() throws(JSONError) -> String? {
        let start = position
        switch try next() {
        case .null: return nil
        case .string(let text): return string(text)
        default: throw JSONError(.wrongType, at: start)
        }
    }

    /// Reads an integer; nil if the value is null.
    /// - Throws: also if it does not fit into an `Int`.
    package mutating func integer() throws(JSONError) -> Int? {
        let start = position
        switch try next() {
        case .null: return nil
        case .number(let range):
            guard let value = Int(octets.slice(range.lowerBound, range.upperBound).string) else {
                throw JSONError(.wrongType, at: start)
            }
            return value
        default: throw JSONError(.wrongType, at: start)
        }
    }

    /// Reads a value and checks it, without keeping anything.
    /// - Returns: its octets.
    @discardableResult package mutating func skip() throws(JSONError) -> Range<Int> {
        let outside = depth
        let first = try next()
        let start: Int
        switch first {
        case .objectStart, .arrayStart: start = position - 1
        case .string(let text): start = text.range.lowerBound - 1
        case .number(let range): start = range.lowerBound
        case .bool(let value): start = position - (value ? 4 : 5)
        case .null: start = position - 4
        case .objectEnd, .arrayEnd, .key, .end: throw error(.unexpected)
        }
        while depth > outside { _ = try next() }
        return start..<position
    }

    /// Makes sure that nothing follows the value.
    package mutating func finish() throws(JSONError) {
        guard try next() == .end else { throw error(.trailing) }
    }

    // MARK: texts

    /// A text that was read.
    package func string(_ text: JSONString) -> String {
        guard text.hasEscapes else { return octets(text).string }
        var decoded: [UInt8] = []
        append(text, to: &decoded)
        return String(decoding: decoded, as: UTF8.self)
    }

    /// Appends a text that was read to octets, which grow by at most the length of its `range`.
    package func append(_ text: JSONString, to array: inout [UInt8]) {
        guard text.hasEscapes else { return array.append(octets(text)) }
        JSONText.unescape(octets(text)) { array.append($0) }
    }

    /// Appends octets as they are written.
    package func append(_ range: Range<Int>, to array: inout [UInt8]) {
        array.append(octets.slice(range.lowerBound, range.upperBound))
    }

    /// Whether a text that was read is `name`.
    package func equals(_ text: JSONString, _ name: StaticString) -> Bool {
        guard text.hasEscapes else { return octets(text) == Octets(name) }
        return string(text) == "\(name)"
    }

    private func octets(_ text: JSONString) -> Octets {
        octets.slice(text.range.lowerBound, text.range.upperBound)
    }
}
