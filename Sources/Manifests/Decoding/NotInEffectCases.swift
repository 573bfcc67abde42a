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

    /// The redirect of a server in clear text. On an encrypted server it has no effect.
    static func redirectOfClearServer(_ value: Value) -> Fate? {
        let name = protocolName(of: value).flatMap(PortProtocol.init)
        return name.map(\.isPlainHTTP) ?? true ? .closes : nil
    }

    // MARK: Rules

    static func retries(_ value: Value) -> Fate? {
        value.child("attempts")?.number ?? 0 > 0 ? .skipped : nil
    }

    private static func share(_ percentage: Value?, default missing: Double) -> Double {
        percentage.map { $0.child("value")?.number ?? missing } ?? missing
    }

    /// An abort closes, unless its percentage is 0 or it has no status.
    static func abort(_ value: Value) -> Fate? {
        guard value.child("httpStatus") != nil || value.child("grpcStatus") != nil else { return nil }
        return share(value.child("percentage"), default: 0) > 0 ? .closes : nil
    }

    /// A delay is skipped, unless its percentage is 0.
    static func delay(_ value: Value) -> Fate? {
        let old = value.child("percent")?.number ?? 0
        return share(value.child("percentage"), default: old) > 0 ? .skipped : nil
    }

    static func mirror(_ value: Value) -> Fate? {
        let rule = value.parent
        let old = rule?.child("mirrorPercent")?.number ?? 100
        return share(rule?.child("mirrorPercentage"), default: old) > 0 ? .skipped : nil
    }

    static func entryOfMirrors(_ value: Value) -> Fate? {
        guard let percentage = value.child("percentage") else { return .skipped }
        return share(percentage, default: 0) > 0 ? .skipped : nil
    }

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
