// Judges of fields whose presence alone does not decide. nil means that the value asks for nothing, or for what is the
// case anyway. Faults of a value are not reported here, but by its reader; the error then closes its part.

extension Value {
    fileprivate func child(_ name: StaticString) -> Value? {
        decoder.tree.value(of: name, in: node).map { Value(decoder: decoder, node: $0) }
    }

    fileprivate var parent: Value? {
        let above = decoder.tree[node].parent
        return above == Node.none ? nil : Value(decoder: decoder, node: above)
    }

    /// The text of a scalar.
    fileprivate var text: String? { decoder.tree[node].isScalar ? raw : nil }

    /// The entries of a list, without reports on its faults.
    fileprivate var items: [Value] {
        guard decoder.tree[node].kind == .sequence else { return [] }
        var items: [Value] = []
        var child = decoder.tree[node].start
        while child != Node.none {
            items.append(Value(decoder: decoder, node: child))
            child = decoder.tree[child].next
        }
        return items
    }

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

    // MARK: Gateway

    private static func protocolName(of tlsField: Value) -> String? {
        tlsField.parent?.parent?.child("port")?.child("protocol")?.text?.uppercased()
    }

    /// The mode of an encrypted server. In clear text it has no effect.
    static func modeOfEncryptedServer(_ value: Value) -> Fate? {
        ["HTTPS", "TLS"].contains(protocolName(of: value)) ? .closes : nil
    }

    // MARK: Rules

    /// A rewrite closes, unless it changes nothing: `uri: /a` where every match has the prefix or the path `/a`.
    static func rewrite(_ value: Value) -> Fate? {
        guard let uri = value.child("uri")?.text, value.decoder.tree[value.node].count == 1 else { return .closes }
        let matches = value.parent?.child("match")?.items ?? []
        let isSame = matches.allSatisfy { match in
            let written = match.child("uri")
            return (written?.child("prefix") ?? written?.child("exact"))?.text == uri
        }
        return isSame && !matches.isEmpty ? nil : .closes
    }

    /// A CORS policy closes if it names origins: without it, a page of any origin could do what those may, as far as
    /// the upstream allows. If every origin is allowed, serving without the policy allows nothing more.
    static func cors(_ value: Value) -> Fate? {
        let entries = (value.child("allowOrigins") ?? value.child("allowOrigin"))?.items ?? []
        let allowsAll = entries.contains { entry in
            entry.text == "*" || entry.child("exact")?.text == "*" || entry.child("prefix")?.text == ""
                || entry.child("regex")?.text == ".*"
        }
        return entries.isEmpty || allowsAll ? .skipped : .closes
    }

    static func hostOrOther(_ value: Value) -> Fate? {
        guard value.decoder.tree[value.node].kind == .mapping else { return nil }
        let isHost = value.entries().contains { ["host", ":authority"].contains($0.key.raw.lowercased()) }
        return isHost ? .closes : .skipped
    }

    // MARK: Policies

    static func enabled(_ value: Value) -> Fate? {
        value.child("enabled")?.scalar == .bool(false) ? nil : .skipped
    }
}
