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
        guard var mapping = value.mapping() else { return }
        name = mapping.string("name")
        matches = mapping.elements("match").map(HTTPMatch.read)
        destinations = RouteDestination.list(mapping.field("route"), hasHeaders: true)
        if let field = mapping.field("timeout"), let duration = field.duration() {
            timeout = mapping.located(duration, field)
        }
        redirect = mapping.field("redirect").flatMap(HTTPRedirect.init)
        directResponse = mapping.field("directResponse").flatMap(HTTPDirectResponse.init)
        delegate = mapping.field("delegate").flatMap(Delegate.init)
        rewrite = mapping.field("rewrite").flatMap(HTTPRewrite.init)
        retries = mapping.field("retries").flatMap(HTTPRetries.init)
        fault = mapping.field("fault").flatMap(HTTPFault.init)
        cors = mapping.field("corsPolicy").flatMap(CorsPolicy.init)
        headers = mapping.field("headers").flatMap(HeaderOperations.init)
        mapping.removed("websocketUpgrade", hint: "remove it")
        mapping.removed("appendHeaders", hint: "write headers.request.add")
        mapping.removedHeaders()
        readMirrors(&mapping)
        checkAction(&mapping)
        if isInDelegate, let field = mapping.field("delegate") {
            field.error(
                "conflicting-fields", "a VirtualService without hosts is a delegate, and a delegate names no other",
                hint: "write its rules here, or name the other one in the rule that names this one")
        }
        mapping.finish()
    }

    private mutating func readMirrors(_ mapping: inout Mapping) {
        if let percent = mapping.field("mirrorPercent") {
            percent.warning(
                "deprecated", "`mirrorPercent` is an old form", hint: "use mirrorPercentage.value")
            mirrorShare = Double(percent.int(0...100) ?? 100)
        }
        // Of a percentage without a value, the value is 0, as in Istio.
        if let value = mapping.field("mirrorPercentage") { mirrorShare = value.percentage(default: 0) }
        if let value = mapping.field("mirror"), let destination = Destination(value) {
            mirror = HTTPMirror(place: value.place, destination: destination, percentage: 100)
        }
        guard let list = mapping.givenList("mirrors") else { return }
        if mapping.field("mirror") != nil {
            list.error("conflicting-fields", "`mirror` and `mirrors` exclude each other")
        }
        mirrors += list.elements().compactMap(HTTPMirror.init)
    }

    /// Checks that the rule has an action, and nothing that its action forbids.
    private mutating func checkAction(_ mapping: inout Mapping) {
        let actions: [StaticString] = ["route", "redirect", "directResponse", "delegate"]
        var found: [(name: StaticString, value: Value)] = []
        for name in actions {
            if let value = mapping.givenList(name) { found.append((name, value)) }
        }
        guard let first = found.first else {
            mapping.missing(
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
            mapping.field(name)?.error(
                "conflicting-fields", "`\(name)` has no effect beside `\(local)`")
        }
        if "\(first.name)" == "route", destinations.isEmpty {
            first.value.error("missing-field", "a route needs at least one destination")
        }
        checkPrefixRewrite(&mapping)
    }

    private func checkPrefixRewrite(_ mapping: inout Mapping) {
        guard redirect?.prefixRewrite != nil else { return }
        let hasOther = matches.contains {
            switch $0.uri {
            case .exact, .regex: true
            case .prefix, .present, nil: false
            }
        }
        if hasOther {
            mapping.field("redirect")?.error(
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
        guard var mapping = value.mapping() else { return }
        let decoder = value.decoder
        name = mapping.string("name")
        uri = mapping.field("uri").flatMap { StringMatch($0, emptyPrefix: true) }
        ignoreUriCase = decoder.sound(otherwise: true) { mapping.bool("ignoreUriCase") ?? false }
        scheme = mapping.field("scheme").flatMap { StringMatch($0) }
        method = mapping.field("method").flatMap { StringMatch($0) }
        authority = mapping.field("authority").flatMap { StringMatch($0) }
        headers = NamedMatch.list(mapping.field("headers"), .header)
        withoutHeaders = NamedMatch.list(mapping.field("withoutHeaders"), .absentHeader)
        queryParams = NamedMatch.list(mapping.field("queryParams"), .queryParameter)
        port = mapping.givenPort("port")
        sourceLabels = decoder.sound(otherwise: [:]) { mapping.selectorLabels("sourceLabels") }
        sourceNamespace = decoder.sound(otherwise: nil) { Self.namespace(&mapping) }
        gateways = decoder.sound(otherwise: []) { mapping.locatedStrings("gateways", check: checkGatewayName) }
        statPrefix = mapping.string("statPrefix")
        mapping.finish()
    }

    private static func namespace(_ mapping: inout Mapping) -> String? {
        let name = mapping.string("sourceNamespace")
        if let name, !name.isEmpty, !Grammar.isLabel(name) {
            mapping.field("sourceNamespace")?.error("invalid-name", "`\(name)` cannot be a namespace")
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
        guard var mapping = value.mapping() else { return nil }
        let exact = mapping.field("exact")
        let prefix = mapping.field("prefix")
        let regex = mapping.field("regex")
        mapping.finish()
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
