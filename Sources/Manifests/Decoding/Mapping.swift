internal import Octets

/// A mapping of known fields, while it is decoded. It remembers which names were asked for, and `finish` reports every
/// field that was not asked for. A reader must therefore always ask for all fields.
struct Mapping {
    let value: Value
    private var asked: [StaticString] = []
    /// Names that were fields in earlier versions of Istio.
    private var removed: [StaticString] = []

    init(_ value: Value) {
        self.value = value
        asked.reserveCapacity(16)
    }

    var place: SourcePlace { value.place }

    var path: String { value.path }
    var fieldPath: FieldPath { value.fieldPath }

    /// The value of a field; nil if it is absent or null.
    mutating func field(_ name: StaticString) -> Value? {
        asked.append(name)
        guard let node = value.decoder.tree.value(of: name, in: value.node) else { return nil }
        let field = Value(decoder: value.decoder, node: node)
        return field.isNull ? nil : field
    }

    /// Accepts fields that are known and of no concern to a gateway, without reading them.
    mutating func ignore(_ names: StaticString...) { asked.append(contentsOf: names) }

    /// Warns about a field that Istio has removed and ignores. It is ignored here, too.
    mutating func removed(_ name: StaticString, hint: String? = nil) {
        removed.append(name)
        guard let node = value.decoder.tree.value(of: name, in: value.node) else { return }
        value.decoder.warning(
            "removed-field", "`\(name)` was removed from Istio and is ignored", hint: hint, at: node)
    }

    /// Accepts a name that is reported elsewhere.
    mutating func forget(_ name: StaticString) { removed.append(name) }

    // MARK: Typed fields

    /// The value of a text; nil, with a report, if it is something else.
    mutating func string(_ name: StaticString) -> String? { field(name)?.string() }
    /// True or false; nil if the field is absent, and with a report if it is something else.
    mutating func bool(_ name: StaticString) -> Bool? { field(name)?.bool() }
    /// The fields below; nil if there are none, and with a report if it is something else.
    mutating func mapping(_ name: StaticString) -> Mapping? { field(name)?.mapping() }
    /// The texts of a list; empty if it is absent.
    mutating func strings(_ name: StaticString) -> [String] { field(name)?.strings() ?? [] }
    /// The elements of a list; empty if it is absent.
    mutating func elements(_ name: StaticString) -> [Value] { field(name)?.elements() ?? [] }

    /// The value of an integer; nil if it is absent, and with a report if it is none or outside of the range.
    mutating func int(_ name: StaticString, _ range: ClosedRange<Int>) -> Int? {
        field(name)?.int(range)
    }
    /// The value of a port, 1 to 65535.
    mutating func port(_ name: StaticString) -> Int? { int(name, 1...65535) }
    /// The value of a count, which is not negative.
    mutating func count(_ name: StaticString) -> Int? { int(name, 0...Int(UInt32.max)) }

    /// The value of a duration of at least 1 ms, or of 0 if that is allowed.
    mutating func duration(_ name: StaticString, orZero: Bool = false) -> Duration? {
        field(name)?.duration(orZero: orZero)
    }
    /// The texts of a mapping with free names; empty if it is absent.
    mutating func stringMap(_ name: StaticString) -> [String: String] {
        field(name)?.stringMap() ?? [:]
    }
    /// The texts of a list with their places; `check` sees each with its value.
    mutating func locatedStrings(
        _ name: StaticString, check: (Value, String) -> Void = { _, _ in }
    ) -> [Located<String>] {
        field(name)?.locatedStrings(check) ?? []
    }
    /// The case of `type` that a text names; nil if it is absent, and with a report if there is no such case.
    mutating func name<Name: RawRepresentable<String> & CaseIterable>(
        _ field: StaticString, of type: Name.Type
    ) -> Name? {
        self.field(field)?.name(of: type)
    }

    /// The value of a text with its place; nil if it is absent, and with a report if it is something else.
    mutating func located(_ name: StaticString) -> Located<String>? {
        guard let field = field(name), let text = field.string() else { return nil }
        return located(text, field)
    }
    /// The value of a port, 1 to 65535, with its place; nil if it is absent, and with a report if it is something else.
    mutating func locatedPort(_ name: StaticString) -> Located<Int>? {
        guard let field = field(name), let number = field.int(1...65535) else { return nil }
        return located(number, field)
    }
    /// The value of an optional text. An empty one counts as absent, as in Istio.
    mutating func given(_ name: StaticString) -> Located<String>? {
        located(name).flatMap { $0.value.isEmpty ? nil : $0 }
    }
    /// The value of an optional list. An empty one counts as absent, as in Istio.
    mutating func givenList(_ name: StaticString) -> Value? {
        field(name).flatMap { $0.isEmptyList ? nil : $0 }
    }
    /// The value of an optional port. 0 counts as absent, as in Istio.
    mutating func givenPort(_ name: StaticString) -> Located<Int>? {
        guard let field = field(name), let number = field.int(0...65535), number > 0 else { return nil }
        return located(number, field)
    }
    /// A content with the place and path of its field.
    func located<Content>(_ content: Content, _ field: Value) -> Located<Content> {
        Located(content, place: field.place, path: field.fieldPath)
    }

    // MARK: Required fields

    /// The value of a required field. Reports that it is missing, if it is.
    mutating func require(_ name: StaticString, hint: String? = nil) -> Value? {
        if let field = field(name) { return field }
        missing(name, hint: hint)
        return nil
    }

    /// Reports that a required field is missing.
    mutating func missing(_ name: StaticString, hint: String? = nil) {
        let path = self.path
        value.decoder.error(
            "missing-field", "`\(name)` is missing", hint: hint, at: value.node,
            path: path.isEmpty ? "\(name)" : "\(path).\(name)")
    }

    // MARK: The end

    enum Strictness { case spoils, harmless }

    /// Reports fields that were not asked for. To be called last.
    func finish(unknown: Strictness = .spoils) {
        let decoder = value.decoder
        var key = decoder.tree[value.node].start
        while key != Node.none {
            if decoder.tree[key].isScalar, !isKnown(key) { reportUnknown(key, unknown) }
            let value = decoder.tree[key].next
            key = value == Node.none ? Node.none : decoder.tree[value].next
        }
    }

    private func isKnown(_ key: NodeIndex) -> Bool {
        let tree = value.decoder.tree
        return asked.contains { tree.equals(key, $0) } || removed.contains { tree.equals(key, $0) }
    }

    private func reportUnknown(_ key: NodeIndex, _ strictness: Strictness) {
        let decoder = value.decoder
        let name = decoder.tree.string(key)
        // The tree's problems have reported it.
        if name == "<<" { return }
        if decoder.origin == .cluster {
            return decoder.note("unknown-field", "unknown field `\(name)`: it has no effect", hint: hint(name), at: key)
        }
        switch strictness {
        case .spoils: decoder.error("unknown-field", "unknown field `\(name)`", hint: hint(name), at: key)
        case .harmless: decoder.harmlessError("unknown-field", "unknown field `\(name)`", hint: hint(name), at: key)
        }
    }

    private func hint(_ unknown: String) -> String {
        let known = Set(asked.map { "\($0)" }).sorted()
        return NearestName.find(unknown, among: known).map { "did you mean `\($0)`?" }
            ?? (known.isEmpty ? "it has no fields" : "known here: \(known.joined(separator: ", "))")
    }
}
