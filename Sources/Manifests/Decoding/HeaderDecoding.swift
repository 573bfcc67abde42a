// Headers and CORS of HTTP rules: istio-api.md §1.3.

extension HeaderOperations {
    init?(_ value: Value) {
        guard var record = value.record() else { return nil }
        place = value.place
        if let field = record.field("request") { request = Changes(field, isRequest: true) }
        if let field = record.field("response") { response = Changes(field, isRequest: false) }
        record.finish()
    }
}

extension HeaderOperations.Changes {
    fileprivate init(_ value: Value, isRequest: Bool) {
        guard var record = value.record() else { return }
        set = Self.pairs(record.field("set"), isRequest)
        add = Self.pairs(record.field("add"), isRequest)
        remove = record.locatedStrings("remove") { value, name in
            Self.check(name, value, mayBeHost: false)
        }.map(\.value)
        record.finish()
    }

    private static func pairs(_ value: Value?, _ isRequest: Bool) -> [(name: String, value: String)]
    {
        guard let value else { return [] }
        return value.entries().compactMap { key, value in
            check(key.raw, value, mayBeHost: isRequest)
            guard let text = value.string() else { return nil }
            checkFormat(text, value)
            return (key.raw, text)
        }
    }

    private static func check(_ name: String, _ value: Value, mayBeHost: Bool) {
        let lower = name.lowercased()
        if lower == "host" || lower == ":authority" {
            if mayBeHost { return }
            value.error(
                "invalid-name", "`\(name)` cannot be changed here", hint: "use rewrite.authority")
        } else if lower.hasPrefix(":") {
            value.error("invalid-name", "`\(name)` cannot be changed")
        } else if !Grammar.isFieldName(name) {
            value.error("invalid-name", "`\(name)` is no name of a header")
        }
    }

    /// Values are Envoy's format strings: `%NAME%`, `%NAME(argument)%`, `%%`.
    private static func checkFormat(_ text: String, _ value: Value) {
        if text.isEmpty {
            value.warning("no-effect", "an empty value changes nothing", hint: "use `remove`")
        }
        if text.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) {
            value.error("invalid-value", "a control character in a header")
        }
        var rest = Array(text.utf8)[...]
        while let percent = rest.firstIndex(of: UInt8(ascii: "%")) {
            rest = rest[(percent + 1)...]
            guard let end = rest.firstIndex(of: UInt8(ascii: "%")), isOperator(rest[..<end]) else {
                value.error("invalid-value", "a stray `%`", hint: "write %% for a percent sign")
                return
            }
            rest = rest[(end + 1)...]
        }
    }

    private static func isOperator(_ text: ArraySlice<UInt8>) -> Bool {
        guard let first = text.first else { return true }
        return first >= UInt8(ascii: "A") && first <= UInt8(ascii: "Z")
    }
}

extension CorsPolicy {
    private static let methods = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*",
    ]

    init?(_ value: Value) {
        guard var record = value.record() else { return nil }
        place = value.place
        allowOrigins = record.elements("allowOrigins").compactMap(Self.origin)
        if let old = record.field("allowOrigin") {
            old.warning("deprecated", "`allowOrigin` is an old form", hint: "use allowOrigins")
            let names = old.strings()
            if allowOrigins.isEmpty { allowOrigins = names.map(StringMatch.exact) }
        }
        allowMethods = record.locatedStrings("allowMethods") { value, name in
            if !Self.methods.contains(name) { value.unknownName(name, among: Self.methods) }
        }.map(\.value)
        allowHeaders = record.locatedStrings("allowHeaders", check: Self.checkHeader).map(\.value)
        exposeHeaders = record.locatedStrings("exposeHeaders", check: Self.checkHeader).map(\.value)
        if let field = record.field("maxAge") {
            maxAge = field.duration(orZero: true)
            if let maxAge, maxAge.components.attoseconds != 0 {
                field.error("out-of-range", "a whole number of seconds is wanted")
            }
        }
        allowCredentials = record.bool("allowCredentials")
        if let field = record.field("unmatchedPreflights"), let name = field.string() {
            let names = ["UNSPECIFIED", "FORWARD", "IGNORE"]
            if !names.contains(name) { field.unknownName(name, among: names) }
            ignoresUnmatchedPreflights = name == "IGNORE"
        }
        record.finish()
    }

    private static func origin(_ value: Value) -> StringMatch? {
        guard let match = StringMatch(value) else { return nil }
        if case .present = match {
            value.error(
                "missing-field", "an origin is wanted", hint: "write {exact: \"*\"} for any")
            return nil
        }
        if case .exact("") = match { value.error("invalid-value", "an empty origin") }
        return match
    }

    private static func checkHeader(_ value: Value, _ name: String) {
        if !Grammar.isFieldName(name) {
            value.error("invalid-name", "`\(name)` is no name of a header")
        }
    }
}
