// Decodes header operations and CORS of HTTP rules. Source: Istio `Headers`, `CorsPolicy`.

extension HeaderOperations {
    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        if let field = mapping.field("request") { request = Changes(field, isRequest: true) }
        if let field = mapping.field("response") { response = Changes(field, isRequest: false) }
        mapping.finish()
    }
}

extension HeaderOperations.Changes {
    fileprivate init(_ value: Value, isRequest: Bool) {
        guard var mapping = value.mapping() else { return }
        set = Self.pairs(mapping.field("set"), isRequest, isSet: true)
        add = Self.pairs(mapping.field("add"), isRequest, isSet: false)
        remove = mapping.locatedStrings("remove") { value, name in
            Self.checkRemoval(name, value)
        }.map(\.value)
        mapping.finish()
    }

    private static func pairs(
        _ value: Value?, _ isRequest: Bool, isSet: Bool
    ) -> [(name: String, value: String)] {
        guard let value else { return [] }
        return value.entries().compactMap { key, value in
            let isHost = check(key.raw, value, mayBeHost: isRequest)
            guard let text = value.string() else { return nil }
            if isHost {
                value.checkAuthority(text)
            } else {
                checkProtected(key.raw, value)
                checkFormat(text, value, isRequest ? .request : .response, isRequest && isSet)
            }
            return (key.raw, text)
        }
    }

    /// Checks a name.
    /// - Returns: whether it is the host of a request.
    @discardableResult
    private static func check(_ name: String, _ value: Value, mayBeHost: Bool) -> Bool {
        let lower = name.lowercased()
        if lower == "host" || lower == ":authority" {
            if mayBeHost { return true }
            value.error(
                "invalid-name", "`\(name)` cannot be changed here", hint: "use rewrite.authority")
        } else if lower.hasPrefix(":") {
            value.error("invalid-name", "`\(name)` cannot be changed")
        } else if !Grammar.isFieldName(name) {
            value.error("invalid-name", "`\(name)` is no name of a header")
        }
        return false
    }

    /// Headers between neighbours, and those that say where a message ends. The gateway writes them for each of its
    /// sides; a rule that could would make the next server read another message than was sent.
    /// Source: RFC 9110 §7.6.1, RFC 9112 §6.
    private static let protected = [
        "connection", "content-length", "http2-settings", "keep-alive", "proxy-connection", "te", "transfer-encoding",
        "upgrade",
    ]

    private static func checkProtected(_ name: String, _ value: Value) {
        guard protected.contains(name.lowercased()) else { return }
        value.error("invalid-name", "`\(name)` is written by the gateway alone", hint: "remove it")
    }

    private static func checkRemoval(_ name: String, _ value: Value) {
        check(name, value, mayBeHost: false)
        guard protected.contains(name.lowercased()) else { return }
        value.warning("no-effect", "`\(name)` is written by the gateway alone: removing it changes nothing")
    }

    /// Checks a value, which is one of Envoy's format strings.
    /// - Parameter isRemoved: what becomes of a field whose value cannot be made; see `HeaderFormat.withoutValue`.
    private static func checkFormat(
        _ text: String, _ value: Value, _ message: HeaderFormat.Message, _ isRemoved: Bool
    ) {
        if text.isEmpty {
            value.warning("no-effect", "an empty value changes nothing", hint: "use `remove`")
        }
        if text.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) {
            value.error("invalid-value", "a control character in a header")
        }
        do {
            let missing = try HeaderFormat(text, for: message).withoutValue
            guard let name = missing.first else { return }
            value.warning(
                NotInEffect.code,
                "`%\(name)%` has no value here: "
                    + (isRemoved ? "the header is removed, so that no client can set it" : "the header is not changed"))
        } catch {
            value.error("invalid-value", error.message, hint: error.hint)
        }
    }
}

extension Value {
    /// Checks what becomes the authority of a request, or stands in a `location`.
    func checkAuthority(_ text: String) {
        if !Grammar.isAuthority(text) {
            error("invalid-value", "`\(shown)` is no host", hint: "write a name or an address, perhaps with :port")
        }
    }

    /// Checks what becomes the path of a request, or the beginning of it.
    func checkPath(_ text: String) {
        guard text.hasPrefix("/") else {
            return error("invalid-value", "`\(shown)` does not begin with `/`", hint: "every path does")
        }
        checkTarget(text)
        let path = text.prefix { $0 != "?" && $0 != "#" }
        if path.split(separator: "/").contains(where: { $0 == "." || $0 == ".." }) {
            error("invalid-value", "`\(shown)` has dot segments", hint: "write the path without `.` and `..`")
        }
    }

    /// Checks that a text can stand in a request's target. Source: RFC 9112 §3.2.
    func checkTarget(_ text: String) {
        if !text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }) {
            error("invalid-value", "`\(shown)` has what no path may have", hint: "escape it as in %20")
        }
    }
}

extension Mapping {
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
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        allowOrigins = mapping.elements("allowOrigins").compactMap(Self.origin)
        if let old = mapping.field("allowOrigin") {
            old.warning("deprecated", "`allowOrigin` is an old form", hint: "use allowOrigins")
            let names = old.strings()
            if allowOrigins.isEmpty { allowOrigins = names.map(StringMatch.exact) }
        }
        allowMethods = mapping.locatedStrings("allowMethods") { value, name in
            if !Self.methods.contains(name) { value.unknownName(name, among: Self.methods) }
        }.map(\.value)
        allowHeaders = mapping.locatedStrings("allowHeaders", check: Self.checkHeader).map(\.value)
        exposeHeaders = mapping.locatedStrings("exposeHeaders", check: Self.checkHeader).map(\.value)
        if let field = mapping.field("maxAge") {
            maxAge = field.duration(orZero: true)
            if let maxAge, maxAge.components.attoseconds != 0 {
                field.error("out-of-range", "a whole number of seconds is wanted")
            }
        }
        allowCredentials = mapping.bool("allowCredentials")
        if let field = mapping.field("unmatchedPreflights"), let name = field.string() {
            let names = ["UNSPECIFIED", "FORWARD", "IGNORE"]
            if !names.contains(name) { field.unknownName(name, among: names) }
            ignoresUnmatchedPreflights = name == "IGNORE"
        }
        mapping.finish()
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
