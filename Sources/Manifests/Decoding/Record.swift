internal import Octets

/// A mapping of known fields under decoding. It remembers which names were asked for; `finish`
/// then reports every field that nobody asked for. So a reader must ask for all fields always.
struct Record {
    let value: Value
    private var asked: [StaticString] = []
    /// Names that were fields once.
    private var removed: [StaticString] = []

    init(_ value: Value) {
        self.value = value
        asked.reserveCapacity(16)
    }

    var place: SourcePlace { value.place }

    var path: String { value.path }
    var fieldPath: FieldPath { value.fieldPath }

    /// The field's value; nil when absent or null.
    mutating func field(_ name: StaticString) -> Value? {
        asked.append(name)
        guard let node = value.decoder.tree.value(of: name, in: value.node) else { return nil }
        let field = Value(decoder: value.decoder, node: node)
        return field.isNull ? nil : field
    }

    /// Fields that are known, and of no concern to a gateway; their content is not looked at.
    mutating func ignore(_ names: StaticString...) { asked.append(contentsOf: names) }

    /// A field that Istio has removed: there it is ignored, so it is here.
    mutating func removed(_ name: StaticString, hint: String? = nil) {
        removed.append(name)
        guard let node = value.decoder.tree.value(of: name, in: value.node) else { return }
        value.decoder.warning(
            "removed-field", "`\(name)` was removed from Istio and is ignored", hint: hint, at: node)
    }

    /// A name that is said enough about elsewhere.
    mutating func forget(_ name: StaticString) { removed.append(name) }

    // MARK: Typed fields

    mutating func string(_ name: StaticString) -> String? { field(name)?.string() }
    mutating func bool(_ name: StaticString) -> Bool? { field(name)?.bool() }
    mutating func record(_ name: StaticString) -> Record? { field(name)?.record() }
    mutating func strings(_ name: StaticString) -> [String] { field(name)?.strings() ?? [] }
    mutating func elements(_ name: StaticString) -> [Value] { field(name)?.elements() ?? [] }

    mutating func int(_ name: StaticString, _ range: ClosedRange<Int>) -> Int? {
        field(name)?.int(range)
    }
    mutating func port(_ name: StaticString) -> Int? { int(name, 1...65535) }
    /// A count: 0 and up.
    mutating func count(_ name: StaticString) -> Int? { int(name, 0...Int(UInt32.max)) }

    mutating func duration(_ name: StaticString, orZero: Bool = false) -> Duration? {
        field(name)?.duration(orZero: orZero)
    }
    mutating func stringMap(_ name: StaticString) -> [String: String] {
        field(name)?.stringMap() ?? [:]
    }
    mutating func locatedStrings(
        _ name: StaticString, check: (Value, String) -> Void = { _, _ in }
    ) -> [Located<String>] {
        field(name)?.locatedStrings(check) ?? []
    }
    mutating func name<Name: RawRepresentable<String> & CaseIterable>(
        _ field: StaticString, of type: Name.Type
    ) -> Name? {
        self.field(field)?.name(of: type)
    }

    mutating func located(_ name: StaticString) -> Located<String>? {
        guard let field = field(name), let text = field.string() else { return nil }
        return located(text, field)
    }
    mutating func locatedPort(_ name: StaticString) -> Located<Int>? {
        guard let field = field(name), let number = field.int(1...65535) else { return nil }
        return located(number, field)
    }
    /// An optional text: to Istio an empty one is none.
    mutating func given(_ name: StaticString) -> Located<String>? {
        located(name).flatMap { $0.value.isEmpty ? nil : $0 }
    }
    /// An optional list: to Istio an empty one is none.
    mutating func givenList(_ name: StaticString) -> Value? {
        field(name).flatMap { $0.isEmptyList ? nil : $0 }
    }
    /// An optional port: to Istio 0 is none.
    mutating func givenPort(_ name: StaticString) -> Located<Int>? {
        guard let field = field(name), let number = field.int(0...65535), number > 0 else { return nil }
        return located(number, field)
    }
    func located<Content>(_ content: Content, _ field: Value) -> Located<Content> {
        Located(content, place: field.place, path: field.fieldPath)
    }

    // MARK: Required fields

    /// Reports the field missing unless it is there.
    mutating func require(_ name: StaticString, hint: String? = nil) -> Value? {
        if let field = field(name) { return field }
        missing(name, hint: hint)
        return nil
    }

    mutating func missing(_ name: StaticString, hint: String? = nil) {
        let path = self.path
        value.decoder.error(
            "missing-field", "`\(name)` is missing", hint: hint, at: value.node,
            path: path.isEmpty ? "\(name)" : "\(path).\(name)")
    }

    // MARK: The end

    enum Strictness { case spoils, harmless }

    /// Reports fields that no one asked for.
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
        // Reported with the tree.
        if name == "<<" { return }
        switch strictness {
        case .spoils: decoder.error("unknown-field", "unknown field `\(name)`", hint: hint(name), at: key)
        case .harmless: decoder.harmlessError("unknown-field", "unknown field `\(name)`", hint: hint(name), at: key)
        }
    }

    private func hint(_ unknown: String) -> String {
        let known = Set(asked.map { "\($0)" }).sorted()
        return NearestName.find(unknown, among: known).map { "did you mean `\($0)`?" }
            ?? "known here: \(known.joined(separator: ", "))"
    }
}
