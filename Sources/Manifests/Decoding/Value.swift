internal import Octets
internal import Patterns

/// One value while it is decoded. Reading it as a type that it does not have returns nil and is reported once, with a
/// remedy.
struct Value {
    let decoder: Decoder
    let node: NodeIndex

    var place: SourcePlace { decoder.place(node) }
    var path: String { decoder.path(node) }
    var fieldPath: FieldPath { decoder.fieldPath(node) }

    /// The meaning of the value, whatever type is wanted; nil if it is a list or mapping.
    var scalar: Scalar? {
        let found = decoder.tree[node]
        switch found.kind {
        case .plain: return Scalar(plain: decoder.tree.octets(node))
        case .quoted: return .text
        case .sequence, .mapping: return nil
        }
    }

    /// Whether it says nothing: YAML and JSON have `null`, and YAML an empty value.
    var isNull: Bool { scalar == .null }
    /// The text as it is written, whatever it means. Reports must quote `shown` instead.
    var raw: String { decoder.tree.string(node) }
    /// The text as a report may quote it, which hides the text of a Secret.
    var shown: String { decoder.isConfidential(node) ? "…" : raw }

    /// Reports, at this value, what makes the object unfit for use.
    func error(
        _ code: String, _ message: @autoclosure () -> String, hint: @autoclosure () -> String? = nil
    ) {
        decoder.error(code, message(), hint: hint(), at: node)
    }

    /// Reports, at this value, what is likely a mistake; the object is used all the same.
    func warning(
        _ code: String, _ message: @autoclosure () -> String, hint: @autoclosure () -> String? = nil
    ) {
        decoder.warning(code, message(), hint: hint(), at: node)
    }

    // MARK: Scalars

    /// The value as a text.
    func string() -> String? {
        switch scalar {
        case .text: return raw
        case .null: wrongType("a text")
        case .some: wrongType("a text", hint: "quote it: \"\(shown)\"")
        case nil: wrongType("a text", hint: bareHint)
        }
        return nil
    }

    /// The value as a Boolean.
    func bool() -> Bool? {
        if case .bool(let value) = scalar { return value }
        let isQuoted = decoder.tree[node].kind == .quoted && (raw == "true" || raw == "false")
        wrongType("true or false", hint: isQuoted ? "write it without quotes: \(shown)" : nil)
        return nil
    }

    /// The value as an integer within a range.
    func int(_ range: ClosedRange<Int>) -> Int? {
        switch scalar {
        case .integer(let value):
            if range.contains(value) { return value }
            outOfRange("\(value)", range)
        case .number(let value) where value.rounded() != value || value.isNaN:
            wrongType("a whole number")
        case .number: outOfRange(shown, range)
        default: wrongNumber("a number")
        }
        return nil
    }

    /// The value as a number within a range.
    func double(_ range: ClosedRange<Double>) -> Double? {
        switch scalar {
        case .integer(let value) where range.contains(Double(value)): return Double(value)
        case .number(let value) where range.contains(value): return value
        case .integer, .number:
            error(
                "out-of-range", "\(shown) is not within \(range.lowerBound) and \(range.upperBound)")
        default: wrongNumber("a number")
        }
        return nil
    }

    /// A duration of whole milliseconds. It is at least 1 ms, or 0 if `zero` is true.
    func duration(orZero zero: Bool = false) -> Duration? {
        switch scalar {
        case .integer, .number:
            wrongType("a duration", hint: "write its unit: \(shown)s")
            return nil
        case .text: break
        default:
            wrongType("a duration", hint: "for example 5s or 100ms")
            return nil
        }
        guard let duration = Duration(goText: raw) else {
            error("invalid-duration", "`\(shown)` is not a duration", hint: "for example 5s or 1m30s")
            return nil
        }
        if zero && duration == .zero { return duration }
        guard duration >= .milliseconds(1) else {
            error("out-of-range", "\(shown) is less than 1ms", hint: "leave it out for no limit")
            return nil
        }
        guard duration.components.attoseconds % 1_000_000_000_000_000 == 0 else {
            error("out-of-range", "\(shown) is not a whole number of milliseconds")
            return nil
        }
        return duration
    }

    /// One of the names of an enumeration.
    func name<Name: RawRepresentable<String> & CaseIterable>(of: Name.Type) -> Name? {
        guard let text = string() else { return nil }
        if let value = Name(rawValue: text) { return value }
        unknownName(text, among: Name.allCases.map(\.rawValue))
        return nil
    }

    /// Reports a text that is not among the names, with the nearest one.
    func unknownName(_ text: String, among names: [String]) {
        error(
            "unknown-value", "`\(text)` is none of \(names.joined(separator: ", "))",
            hint: NearestName.find(text, among: names).map { "did you mean `\($0)`?" })
    }

    // MARK: Containers

    /// The value as a mapping of known fields.
    func mapping() -> Mapping? {
        guard decoder.tree[node].kind == .mapping else {
            wrongType("a mapping of fields")
            return nil
        }
        return Mapping(self)
    }

    /// Whether it is a scalar without a character, quoted or not.
    var isEmptyText: Bool { decoder.tree[node].isScalar && decoder.tree[node].count == 0 }
    /// Whether it is a list without an element.
    var isEmptyList: Bool { decoder.tree[node].kind == .sequence && decoder.tree[node].count == 0 }

    /// Reads a part whose errors concern only that part.
    /// - Parameter consequence: what an error leads to, as the end of the error's sentence.
    func contained<Part>(_ consequence: String, _ read: (Value) -> Part?) -> Part? {
        var part: Part?
        let isGood = decoder.contained(consequence) { part = read(self) }
        return isGood ? part : nil
    }

    /// The elements of a list. Empty elements are reported and left out.
    func elements() -> [Value] {
        let found = decoder.tree[node]
        guard found.kind == .sequence else {
            wrongType("a list", hint: found.kind == .mapping ? "put `- ` before it" : nil)
            return []
        }
        guard found.count <= Self.maximumElements else {
            error(
                "too-many-entries", "a list of \(found.count) entries; at most \(Self.maximumElements) are read",
                hint: "write several objects")
            return []
        }
        var elements: [Value] = []
        elements.reserveCapacity(Int(found.count))
        var child = found.start
        while child != Node.none {
            let element = Value(decoder: decoder, node: child)
            if element.isNull {
                element.error("empty-entry", "an empty entry", hint: "remove the `-`")
            } else {
                elements.append(element)
            }
            child = decoder.tree[child].next
        }
        return elements
    }

    /// The largest length of a list, such as rules, matches, hosts or endpoints. No object in etcd comes near it.
    static let maximumElements = 100_000

    /// The texts of a list. Elements that are none are left out, with a report.
    func strings() -> [String] { elements().compactMap { $0.string() } }

    /// The texts of a list with their places; `check` is called with each and its value.
    func locatedStrings(_ check: (Value, String) -> Void) -> [Located<String>] {
        elements().compactMap { element in
            guard let text = element.string() else { return nil }
            check(element, text)
            return Located(text, place: element.place, path: element.fieldPath)
        }
    }

    /// The fields of a mapping with free names, in order. The key's node has the place of the name.
    func entries() -> [(key: Value, value: Value)] {
        guard decoder.tree[node].kind == .mapping else {
            wrongType("a mapping")
            return []
        }
        var entries: [(key: Value, value: Value)] = []
        var key = decoder.tree[node].start
        while key != Node.none {
            let value = decoder.tree[key].next
            guard value != Node.none else { break }
            // The tree's problems have reported keys that are not texts.
            if decoder.tree[key].isScalar {
                entries.append(
                    (Value(decoder: decoder, node: key), Value(decoder: decoder, node: value)))
            }
            key = decoder.tree[value].next
        }
        return entries
    }

    /// The texts of a mapping with free names.
    func stringMap() -> [String: String] {
        var map: [String: String] = [:]
        for (key, value) in entries() {
            guard let text = value.string() else { continue }
            map[key.raw] = text
        }
        return map
    }

    /// A longer expression is an error.
    static let mostExpressionOctets = 1024

    /// A regular expression. Equal texts of one load share it.
    func pattern() -> Pattern? {
        guard let source = string() else { return nil }
        guard !source.isEmpty, source.utf8.count <= Self.mostExpressionOctets else {
            error("invalid-regex", "an expression has 1 to \(Self.mostExpressionOctets) octets")
            return nil
        }
        switch decoder.pattern(source) {
        case .usable(let pattern): return pattern
        case .malformed(let reason):
            error(
                "invalid-regex", "not an RE2 expression: \(reason)", hint: Self.hint(forExpression: source))
        case .tooLarge:
            error(
                "large-regex",
                "this expression is too large: its program has more than \(Pattern.largestProgram) instructions",
                hint: "write smaller numbers into `{n,m}`, or leave the counting to the backend")
        case .tooMany(let limit, let whole):
            error(
                "too-many-regexes", "more than \(limit) different expressions in one \(whole)",
                hint: "write `exact` or `prefix` where it will do, or join several expressions to one with `|`")
        }
        return nil
    }

    private static func hint(forExpression source: String) -> String? {
        if source == "*" { return "write .* for any text" }
        let looksAround = ["(?!", "(?=", "(?<!", "(?<="].contains { source.contains($0) }
        return looksAround
            ? "RE2 has no lookahead: say what is excluded in a rule before this one, or with `withoutHeaders`" : nil
    }

    // MARK: Reports

    private func wrongType(_ wanted: String, hint: @autoclosure () -> String? = nil) {
        error("wrong-type", "\(wanted) is wanted, not \(description)", hint: hint())
    }

    /// The hint for an unquoted text such as `[::1]`, which YAML reads as a mapping with an empty key.
    private var bareHint: String? {
        let tree = decoder.tree
        guard tree[node].kind == .mapping, tree[node].count == 1 else { return nil }
        let key = Value(decoder: decoder, node: tree[node].start)
        return key.isNull ? "quote texts that begin with `:`" : nil
    }

    private func wrongNumber(_ wanted: String) {
        let isQuoted = decoder.tree[node].kind == .quoted && Double(raw) != nil
        wrongType(wanted, hint: isQuoted ? "write it without quotes: \(shown)" : nil)
    }

    private func outOfRange(_ text: String, _ range: ClosedRange<Int>) {
        let message =
            range.upperBound >= Int(Int32.max)
            ? "\(text) is less than \(range.lowerBound) or too large"
            : "\(text) is not within \(range.lowerBound) and \(range.upperBound)"
        error("out-of-range", message)
    }

    private var description: String {
        switch decoder.tree[node].kind {
        case .sequence: return "a list"
        case .mapping: return "a mapping"
        case .plain, .quoted: break
        }
        switch scalar {
        case .null: return "nothing"
        case .bool: return "a Boolean (`\(shown)`)"
        case .integer, .number: return "a number"
        case .text, nil: return "a text"
        }
    }
}

extension [Value] {
    /// As `compactMap`, in an array that has room for no more than all of them: one that grows has up to twice as much.
    func exactMap<Result>(_ transform: (Value) -> Result?) -> [Result] {
        var results: [Result] = []
        results.reserveCapacity(count)
        for value in self { if let result = transform(value) { results.append(result) } }
        return results
    }
}
