// Decodes the HTTP rules of a VirtualService. Source: Istio `HTTPRoute`, `HTTPMatchRequest`.

extension HTTPRoute {
    /// Reads a rule. One with an error is kept and marked, so that its requests are answered 503 and later rules do not
    /// get them.
    /// - Parameter isInDelegate: whether the VirtualService has no hosts.
    init(_ value: Value, isInDelegate: Bool) {
        self.init(place: value.place, path: value.fieldPath)
        let isGood = value.decoder.contained(": its requests are answered 503") { read(value, isInDelegate) }
        isBroken = !isGood
    }

    private mutating func read(_ value: Value, _ isInDelegate: Bool) {
        closings = value.closings
        guard var record = value.record() else { return }
        name = record.string("name")
        matches = record.elements("match").map(HTTPMatch.read)
        destinations = RouteDestination.list(record.field("route"), hasHeaders: true)
        if let field = record.field("timeout"), let duration = field.duration() {
            timeout = record.located(duration, field)
        }
        redirect = record.field("redirect").flatMap(HTTPRedirect.init)
        directResponse = record.field("directResponse").flatMap(HTTPDirectResponse.init)
        delegate = record.field("delegate").flatMap(Delegate.init)
        rewrite = record.field("rewrite").flatMap(HTTPRewrite.init)
        retries = record.field("retries").flatMap(HTTPRetries.init)
        fault = record.field("fault").flatMap(HTTPFault.init)
        cors = record.field("corsPolicy").flatMap(CorsPolicy.init)
        headers = record.field("headers").flatMap {
            $0.contained(": these operations are left out", HeaderOperations.init)
        }
        record.removed("websocketUpgrade", hint: "remove it")
        record.removed("appendHeaders", hint: "write headers.request.add")
        record.removedHeaders()
        readMirrors(&record)
        checkAction(&record)
        if isInDelegate, let field = record.field("delegate") {
            field.error(
                "conflicting-fields", "a VirtualService without hosts is a delegate, and a delegate names no other",
                hint: "write its rules here, or name the other one in the rule that names this one")
        }
        record.finish()
    }

    private mutating func readMirrors(_ record: inout Record) {
        if let percent = record.field("mirrorPercent") {
            percent.warning(
                "deprecated", "`mirrorPercent` is an old form", hint: "use mirrorPercentage.value")
            mirrorShare = Double(percent.int(0...100) ?? 100)
        }
        // Of a percentage without a value, the value is 0, as in Istio.
        if let value = record.field("mirrorPercentage") { mirrorShare = value.percentage(default: 0) }
        if let value = record.field("mirror"), let destination = Destination(value) {
            mirror = HTTPMirror(place: value.place, destination: destination, percentage: 100)
        }
        guard let list = record.givenList("mirrors") else { return }
        if record.field("mirror") != nil {
            list.error("conflicting-fields", "`mirror` and `mirrors` exclude each other")
        }
        mirrors += list.elements().compactMap(HTTPMirror.init)
    }

    /// Checks that the rule has an action, and nothing that its action forbids.
    private mutating func checkAction(_ record: inout Record) {
        let actions: [StaticString] = ["route", "redirect", "directResponse", "delegate"]
        var found: [(name: StaticString, value: Value)] = []
        for name in actions {
            if let value = record.givenList(name) { found.append((name, value)) }
        }
        guard let first = found.first else {
            record.missing(
                "route", hint: "a rule has `route`, `redirect`, `directResponse` or `delegate`")
            return
        }
        // Istio gives the direct response of such a rule to the rules of the delegate that have none.
        let isTemplate = found.count == 2 && delegate != nil && directResponse != nil
        if found.count > 1, !isTemplate {
            found[1].value.error(
                "conflicting-fields", "`\(found[1].name)` excludes `\(first.name)`",
                hint: "keep one of the two")
        }
        let local = redirect != nil ? "redirect" : directResponse != nil ? "directResponse" : nil
        for name in ["fault", "rewrite"] as [StaticString] {
            guard let local else { break }
            record.field(name)?.error(
                "conflicting-fields", "`\(name)` has no effect beside `\(local)`")
        }
        if "\(first.name)" == "route", destinations.isEmpty {
            first.value.error("missing-field", "a route needs at least one destination")
        }
        checkPrefixRewrite(&record)
    }

    private func checkPrefixRewrite(_ record: inout Record) {
        guard redirect?.prefixRewrite != nil else { return }
        let hasOther = matches.contains {
            switch $0.uri {
            case .exact, .regex: true
            case .prefix, .present, nil: false
            }
        }
        if hasOther {
            record.field("redirect")?.error(
                "conflicting-fields", "`prefixRewrite` needs conditions by `prefix`")
        }
    }
}

extension HTTPMatch {
    /// Reads a match. A condition with an error is left out, and the others decide which requests the broken rule
    /// closes.
    fileprivate static func read(_ value: Value) -> HTTPMatch {
        let decoder = value.decoder
        let before = decoder.errorCount
        var match = HTTPMatch(place: value.place, path: value.fieldPath)
        decoder.saying(": whatever the rest of this match holds for is answered 503") { match.read(value) }
        match.isFaulty = decoder.errorCount > before
        return match
    }

    private init(place: SourcePlace, path: FieldPath) {
        self.place = place
        self.path = path
    }

    private mutating func read(_ value: Value) {
        guard var record = value.record() else { return }
        let decoder = value.decoder
        name = record.string("name")
        uri = record.field("uri").flatMap { StringMatch($0, emptyPrefix: true) }
        ignoreUriCase = decoder.sound(otherwise: true) { record.bool("ignoreUriCase") ?? false }
        scheme = record.field("scheme").flatMap { StringMatch($0) }
        method = record.field("method").flatMap { StringMatch($0) }
        authority = record.field("authority").flatMap { StringMatch($0) }
        headers = NamedMatch.list(record.field("headers"), .header)
        withoutHeaders = NamedMatch.list(record.field("withoutHeaders"), .absentHeader)
        queryParams = NamedMatch.list(record.field("queryParams"), .queryParameter)
        port = record.givenPort("port")
        sourceLabels = decoder.sound(otherwise: [:]) { record.selectorLabels("sourceLabels") }
        sourceNamespace = decoder.sound(otherwise: nil) { Self.namespace(&record) }
        gateways = decoder.sound(otherwise: []) { record.locatedStrings("gateways", check: checkGatewayName) }
        statPrefix = record.string("statPrefix")
        record.finish()
    }

    private static func namespace(_ record: inout Record) -> String? {
        let name = record.string("sourceNamespace")
        if let name, !name.isEmpty, !Grammar.isLabel(name) {
            record.field("sourceNamespace")?.error("invalid-name", "`\(name)` cannot be a namespace")
        }
        return name
    }
}

extension NamedMatch {
    fileprivate enum Subject { case header, absentHeader, queryParameter }

    fileprivate static func list(_ value: Value?, _ subject: Subject) -> [NamedMatch] {
        guard let value else { return [] }
        return value.entries().compactMap { key, entry in
            value.decoder.sound(otherwise: nil) { NamedMatch(key.raw, entry, subject) }
        }
    }

    private init?(_ name: String, _ value: Value, _ subject: Subject) {
        self.name = name
        place = value.place
        path = value.fieldPath
        if subject != .queryParameter, !Self.isHeaderName(name) {
            value.error("invalid-name", "`\(name)` is no name of a header")
        }
        if value.isNull {
            guard subject == .absentHeader else {
                value.error("empty-entry", "a condition is wanted", hint: "write {} for `is there`")
                return nil
            }
            match = .present
            return
        }
        guard let match = StringMatch(value, anyRegex: subject == .absentHeader) else { return nil }
        self.match = match
    }

    private static func isHeaderName(_ name: String) -> Bool {
        if name.hasPrefix("@request.auth.claims") { return true }
        return Grammar.isFieldName(name.hasPrefix(":") ? name.dropFirst() : Substring(name))
    }
}

extension StringMatch {
    /// - Parameters:
    ///   - emptyPrefix: whether the prefix "" is allowed.
    ///   - anyRegex: whether the expression `*` asks for presence only.
    init?(_ value: Value, emptyPrefix: Bool = false, anyRegex: Bool = false) {
        if value.scalar != nil {
            value.error(
                "wrong-type", "a condition is wanted, not a text",
                hint: "write {exact: \(value.raw)}, or `prefix` or `regex`")
            return nil
        }
        guard var record = value.record() else { return nil }
        let exact = record.field("exact")
        let prefix = record.field("prefix")
        let regex = record.field("regex")
        record.finish()
        if [exact, prefix, regex].count(where: { $0 != nil }) > 1 {
            value.error(
                "conflicting-fields", "a condition has one of `exact`, `prefix` and `regex`")
            return nil
        }
        if let exact {
            guard let text = exact.string() else { return nil }
            self = .exact(text)
        } else if let prefix {
            guard let text = prefix.string() else { return nil }
            if text.isEmpty && !emptyPrefix {
                prefix.error("invalid-value", "an empty prefix", hint: "write {} for `is there`")
                return nil
            }
            self = .prefix(text)
        } else if let regex {
            if anyRegex, regex.raw == "*" {
                self = .present
                return
            }
            guard let pattern = regex.pattern() else { return nil }
            self = .regex(pattern)
        } else {
            self = .present
        }
    }
}
