/// Why a text is not JSON that Portico reads. It quotes nothing of the text, which may have a Secret.
package struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong. The raw value is the end of a sentence.
    package enum Kind: String, Sendable, CaseIterable {
        case endsEarly = "the text ends too early"
        case unexpected = "this is no value, or not what may stand here"
        case wrongBracket = "the bracket closes nothing, or not what is open"
        case trailing = "something follows the value"
        case tooDeep = "values are nested too deep"
        case badNumber = "this is no number of JSON"
        case longNumber = "a number has too many digits"
        case badEscape = "this is no escape sequence of JSON"
        case control = "a text has a control character"
        case badUTF8 = "a text is not UTF-8"
        case wrongType = "another type of value is wanted here"
        case repeated = "a field is written twice"
        case tooLong = "the text is too long"
    }

    package let kind: Kind
    /// How many octets of the text are before the mistake.
    package let offset: Int

    package init(_ kind: Kind, at offset: Int) {
        self.kind = kind
        self.offset = offset
    }

    package var description: String { "not JSON: \(kind.rawValue) (octet \(offset))" }
}
