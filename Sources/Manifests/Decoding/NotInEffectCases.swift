// Judges of fields whose presence alone does not decide. nil means that the value asks for nothing, or for what is the
// case anyway. Mistakes of a value are not reported here, but by its reader; the error then closes its part.

extension Value {
    fileprivate func child(_ name: StaticString) -> Value? {
        decoder.tree.value(of: name, in: node).map { Value(decoder: decoder, node: $0) }
    }

    fileprivate var parent: Value? {
        let above = decoder.tree[node].parent
        return above == Node.none ? nil : Value(decoder: decoder, node: above)
    }

    /// nil of a list or a mapping.
    fileprivate var text: String? { decoder.tree[node].isScalar ? raw : nil }

    fileprivate var number: Double? {
        switch scalar {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }
}

extension NotInEffect {
    /// Whether a value is empty or off.
    static func asksForNothing(_ value: Value, _ field: Field) -> Bool {
        guard !field.meansSomethingEmpty else { return false }
        let node = value.decoder.tree[value.node]
        guard node.isScalar else { return node.count == 0 }
        return value.isNull || value.scalar == .bool(false) || value.raw.isEmpty
    }

}
