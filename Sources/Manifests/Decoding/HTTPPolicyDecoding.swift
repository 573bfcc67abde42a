internal import Octets
internal import Patterns

// Decodes what an HTTP rule may say besides conditions and destinations. Source: Istio `HTTPRoute`.

extension Value {
    /// Reads `{value: 12.5}`, a percentage from 0 to 100.
    func percentage(default missing: Double) -> Double {
        guard var mapping = mapping() else { return missing }
        let share = mapping.field("value")?.double(0...100)
        mapping.finish()
        return share ?? missing
    }

    /// Reads the percentage of a fault: 0, or at least 0.0001, which is the smallest that Envoy can draw.
    fileprivate func faultPercentage() -> Double {
        let share = percentage(default: 0)
        if share > 0 && share < 0.0001 {
            error("out-of-range", "\(share) is not 0 and less than 0.0001")
        }
        return share
    }
}

extension HTTPRedirect {
    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        uri = mapping.given("uri")?.value
        prefixRewrite = mapping.given("prefixRewrite")?.value
        authority = mapping.given("authority")?.value
        port = mapping.port("port")
        let derived = mapping.field("derivePort")
        if let derived, let name = derived.string() {
            let names = ["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"]
            if !names.contains(name) { derived.unknownName(name, among: names) }
            derivesPortFromRequest = name == "FROM_REQUEST_PORT"
        }
        scheme = mapping.given("scheme")?.value
        let written = mapping.field("redirectCode")
        code = written?.int(300...399) ?? 301
        mapping.finish()
        if ![301, 302, 303, 307, 308].contains(code) {
            written?.error(
                "out-of-range", "\(code) does not redirect", hint: "301, 302, 303, 307 or 308")
        }
        if let uri { mapping.field("uri")?.checkPath(uri) }
        if let prefixRewrite { mapping.field("prefixRewrite")?.checkPath(prefixRewrite) }
        if let authority { mapping.field("authority")?.checkAuthority(authority) }
        if let scheme, scheme != "http", scheme != "https" {
            mapping.field("scheme")?.error("unknown-value", "`\(scheme)` is none of http, https")
        }
        if uri != nil, prefixRewrite != nil {
            value.error("conflicting-fields", "`uri` and `prefixRewrite` exclude each other")
        }
        if port != nil, derived != nil {
            value.error("conflicting-fields", "`port` and `derivePort` exclude each other")
        }
        if uri == nil, prefixRewrite == nil, authority == nil, port == nil, scheme == nil,
            derived == nil
        {
            value.error("missing-field", "a redirect that changes nothing")
        }
    }
}

extension HTTPDirectResponse {
    /// The largest body in octets: 1 MiB, as in Istio.
    private static let maximumBody = 1 << 20
    /// A larger body is reported, and served.
    private static let usualOctets = 100 << 10

    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        let status = mapping.require("status")?.int(200...600)
        if let field = mapping.field("body"), var body = field.mapping() {
            let text = body.field("string")
            let bytes = body.field("bytes")
            body.finish()
            if text != nil, bytes != nil {
                field.error("conflicting-fields", "`string` and `bytes` exclude each other")
            }
            if let text { self.body = text.string().map { Array($0.utf8) } ?? [] }
            if let bytes { self.body = bytes.base64()?.withOctets(\.array) ?? [] }
            if self.body.count > Self.maximumBody {
                field.error("too-large", "a body of more than 1 MiB")
            } else if self.body.count > Self.usualOctets {
                field.warning("too-large", "a body of more than 100 KiB")
            }
            // Source: RFC 9110 §15.3.5, §15.4.5.
            if !self.body.isEmpty, status == 204 || status == 304 {
                field.error("conflicting-fields", "an answer of status 204 or 304 has no body")
            }
        }
        mapping.finish()
        guard let status else { return nil }
        self.status = status
    }
}

extension Delegate {
    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        let name = mapping.require("name")?.string()
        namespace = mapping.string("namespace")
        mapping.finish()
        guard let name else { return nil }
        self.name = name
    }
}

extension HTTPRewrite {
    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        uri = mapping.given("uri")?.value
        authority = mapping.given("authority")?.value
        if let field = mapping.field("uriRegexRewrite"), var inner = field.mapping() {
            let match = inner.require("match")?.pattern()
            let replacement = inner.require("rewrite")?.string()
            inner.finish()
            if let match, let replacement {
                inner.field("rewrite")?.checkTarget(replacement)
                if let problem = match.problem(inReplacement: replacement) {
                    inner.field("rewrite")?.error("invalid-value", "`\(Decoder.clipped(replacement))`: \(problem)")
                }
                regex = RegexRewrite(match: match, replacement: replacement)
            }
            if uri != nil {
                field.error("conflicting-fields", "`uri` and `uriRegexRewrite` exclude each other")
            }
        } else if uri == nil, authority == nil {
            value.error("missing-field", "a rewrite that changes nothing")
        }
        if let uri { mapping.field("uri")?.checkPath(uri) }
        if let authority { mapping.field("authority")?.checkAuthority(authority) }
        mapping.finish()
    }
}

extension HTTPRetries {
    /// The names of Envoy's conditions for retries, of HTTP and gRPC. A status number is also a condition.
    private static let conditions = [
        "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure",
        "envoy-ratelimited", "retriable-4xx", "refused-stream", "retriable-status-codes",
        "retriable-headers", "http3-post-connect-failure", "cancelled", "deadline-exceeded",
        "internal", "resource-exhausted", "unavailable",
    ]

    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        attempts = mapping.int("attempts", 0...Int(Int32.max)) ?? 0
        perTryTimeout = mapping.duration("perTryTimeout")
        backoff = mapping.duration("backoff")
        retryRemoteLocalities = mapping.bool("retryRemoteLocalities") ?? false
        retryIgnorePreviousHosts = mapping.bool("retryIgnorePreviousHosts")
        if let field = mapping.field("retryOn") { retryOn = Self.conditions(in: field) }
        mapping.finish()
        let needAttempts: [StaticString] = ["perTryTimeout", "retryOn", "retryRemoteLocalities"]
        for name in needAttempts where attempts == 0 {
            guard let field = mapping.field(name), !field.isEmptyText else { continue }
            field.error(
                "conflicting-fields", "`\(name)` has no effect without `attempts`")
        }
    }

    /// Whether a status has a name, as Istio asks it of Go's `http.StatusText`. Statuses below 200 end no answer.
    private static func isKnown(status: Int) -> Bool {
        switch status {
        case 200...208, 226, 300...305, 307, 308, 400...418, 421...426, 428, 429, 431, 451, 500...508, 510, 511: true
        default: false
        }
    }

    private static func conditions(in field: Value) -> [String] {
        // A status alone may be written without quotes, as a number.
        let text =
            if case .integer(let status) = field.scalar { "\(status)" } else { field.string() }
        guard let text, !text.isEmpty else { return [] }
        let names = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        for name in names where !conditions.contains(name) {
            if let status = Int(name), isKnown(status: status) { continue }
            field.error(
                "unknown-value", "`\(name)` is no condition for a retry",
                hint: name.contains(" ")
                    ? "write the list without spaces"
                    : NearestName.find(name, among: conditions).map { "did you mean `\($0)`?" })
        }
        return names
    }
}

extension HTTPFault {
    private static let statusNames = [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
        "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
        "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
        "UNAUTHENTICATED",
    ]

    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        delay = mapping.field("delay").flatMap(Self.delay)
        abort = mapping.field("abort").flatMap(Self.abort)
        if mapping.field("delay") == nil, mapping.field("abort") == nil {
            value.error("missing-field", "a fault has `delay` or `abort`")
        }
        mapping.finish()
    }

    private static func delay(_ value: Value) -> Delay? {
        guard var mapping = value.mapping() else { return nil }
        let fixed = mapping.duration("fixedDelay")
        if let exponential = mapping.field("exponentialDelay") {
            exponential.error("unsupported-field", "`exponentialDelay` was never implemented")
        } else if mapping.field("fixedDelay") == nil {
            mapping.missing("fixedDelay")
        }
        var share = 0.0
        if let percent = mapping.field("percent") {
            percent.warning("deprecated", "`percent` is an old form", hint: "use percentage.value")
            share = Double(percent.int(0...100) ?? 0)
        }
        if let percentage = mapping.field("percentage") {
            share = percentage.faultPercentage()
        } else if mapping.field("percent") == nil {
            value.warning(
                "no-effect", "without `percentage` the fault never fires",
                hint: "percentage: {value: 100}")
        }
        mapping.finish()
        return fixed.map { Delay(fixed: $0, percentage: share) }
    }

    private static func abort(_ value: Value) -> Abort? {
        guard var mapping = value.mapping() else { return nil }
        var abort = Abort(percentage: 0)
        abort.httpStatus = mapping.int("httpStatus", 200...600)
        if let field = mapping.field("grpcStatus"), let name = field.string() {
            abort.grpcStatus = statusNames.firstIndex(of: name)
            if abort.grpcStatus == nil { field.unknownName(name, among: statusNames) }
        }
        mapping.field("http2Error")?.error(
            "unsupported-field", "`http2Error` was never implemented")
        if let percentage = mapping.field("percentage") {
            abort.percentage = percentage.faultPercentage()
        } else {
            value.warning(
                "no-effect", "without `percentage` the fault never fires",
                hint: "percentage: {value: 100}")
        }
        mapping.finish()
        if abort.httpStatus == nil, abort.grpcStatus == nil {
            value.warning("no-effect", "an abort without `httpStatus` or `grpcStatus`")
        } else if abort.httpStatus != nil, abort.grpcStatus != nil {
            value.error("conflicting-fields", "`httpStatus` and `grpcStatus` exclude each other")
        }
        return abort
    }
}

extension HTTPMirror {
    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        let destination = mapping.require("destination").flatMap(Destination.init)
        percentage = mapping.field("percentage")?.percentage(default: 0) ?? 100
        mapping.finish()
        guard let destination else { return nil }
        self.destination = destination
        place = value.place
    }
}
