// Decodes header operations and CORS of HTTP rules. Source: Istio `Headers`, `CorsPolicy`.

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

    private static func pairs(_ value: Value?, _ isRequest: Bool) -> [(name: String, value: String)] {
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

    /// Checks a value, which is one of Envoy's format strings: `%NAME%`, `%NAME(argument)%`, `%NAME(argument):length%`,
    /// `%%`.
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
            guard skipOperator(&rest) else {
                value.error(
                    "invalid-value", "a `%` that begins none of Envoy's operators",
                    hint: "write %% for a percent sign; operators are %NAME%, %NAME(argument)% and "
                        + "%NAME(argument):length%")
                return
            }
        }
    }

    /// Skips the text after a `%` up to the `%` that ends the operator. An argument may have anything but `)`, also
    /// percent signs: `%START_TIME(%s.%3f)%`.
    private static func skipOperator(_ rest: inout ArraySlice<UInt8>) -> Bool {
        let name = rest.prefix { octet in
            octet == UInt8(ascii: "_") || (octet >= UInt8(ascii: "A") && octet <= UInt8(ascii: "Z"))
                || (octet >= UInt8(ascii: "0") && octet <= UInt8(ascii: "9"))
        }
        rest = rest[name.endIndex...]
        if rest.first == UInt8(ascii: "(") {
            guard !name.isEmpty, let end = rest.firstIndex(of: UInt8(ascii: ")")) else { return false }
            rest = rest[(end + 1)...]
        }
        if rest.first == UInt8(ascii: ":") {
            let digits = rest.dropFirst().prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
            guard !name.isEmpty, !digits.isEmpty else { return false }
            rest = rest[digits.endIndex...]
        }
        rest = rest.drop { !name.isEmpty && $0 == UInt8(ascii: " ") }
        return rest.popFirst() == UInt8(ascii: "%")
    }
}

extension Record {
    /// Reports the fields that Istio had before `headers`.
    mutating func removedHeaders() {
        removed("appendRequestHeaders", hint: "write headers.request.add")
        removed("removeRequestHeaders", hint: "write headers.request.remove")
        removed("appendResponseHeaders", hint: "write headers.response.add")
        removed("removeResponseHeaders", hint: "write headers.response.remove")
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
