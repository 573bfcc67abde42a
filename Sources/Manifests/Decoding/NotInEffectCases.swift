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

    // MARK: Policies

    static func enabled(_ value: Value) -> Fate? {
        value.child("enabled")?.scalar == .bool(false) ? nil : .skipped
    }

    /// A connection pool is skipped if a setting in it differs from the default: no limit, and the port's protocol.
    static func connectionPool(_ value: Value) -> Fate? {
        guard value.decoder.tree[value.node].kind == .mapping else { return isUsual(value) ? nil : .skipped }
        // Bounded: a tree is at most `TreeBuilder.maximumDepth` deep.
        return value.entries().contains { connectionPool($0.value) != nil } ? .skipped : nil
    }

    private static func isUsual(_ value: Value) -> Bool {
        if value.isNull || value.scalar == .bool(false) || value.number == 0 { return true }
        return ["", "0s", "DEFAULT", "DO_NOT_UPGRADE"].contains(value.raw)
    }
}
