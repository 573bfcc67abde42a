internal import Manifests

// The rule of a delegate, merged with the rule that names the delegate, as Istio does it: the delegate's fields where
// they are set, else the other's, each as a whole. Source: docs/istio.md, Delegates.

extension HTTPRoute {
    /// The delegate's rule with what it takes from `root`, which names the delegate; nil if one of its matches is
    /// compatible with no match of `root`.
    func merged(
        into root: HTTPRoute, origin: RuleOrigin, namespaces: (root: String, delegate: String), _ names: Names
    ) -> HTTPRoute? {
        guard let matches = mergedMatches(root, namespaces, names) else { return nil }
        var merged = self
        merged.matches = matches
        merged.origin = origin
        merged.closings += root.closings.filter { !sets($0) }
        merged.rewrite = rewrite ?? root.rewrite
        merged.directResponse = directResponse ?? root.directResponse
        merged.timeout = timeout ?? root.timeout
        merged.retries = retries ?? root.retries
        merged.fault = fault ?? root.fault
        merged.mirror = mirror ?? root.mirror
        merged.mirrorShare = mirrorShare ?? root.mirrorShare
        if mirrors.isEmpty { merged.mirrors = root.mirrors }
        merged.cors = cors ?? root.cors
        merged.headers = headers ?? root.headers
        return merged
    }

    /// Whether the rule has a value of its own for a field that closes the other rule.
    private func sets(_ closing: ClosingField) -> Bool {
        switch closing.name.prefix(while: { $0 != "." && $0 != "[" }) {
        case "rewrite": rewrite != nil
        case "directResponse": directResponse != nil
        case "fault": fault != nil
        case "corsPolicy": cors != nil
        case "headers": headers != nil
        default: false
        }
    }

    private func mergedMatches(
        _ root: HTTPRoute, _ namespaces: (root: String, delegate: String), _ names: Names
    ) -> [HTTPMatch]? {
        guard !matches.isEmpty else { return root.matches }
        let own = matches.map { $0.resolvingGateways(namespaces.delegate, names) }
        guard !root.matches.isEmpty else { return own }
        let others = root.matches.map { $0.resolvingGateways(namespaces.root, names) }
        var merged: [HTTPMatch] = []
        for match in own {
            let fitting = others.filter { match.isCompatible(with: $0) }
            guard !fitting.isEmpty else { return nil }
            merged += fitting.map { match.merged(into: $0) }
        }
        return merged
    }
}

extension HTTPMatch {
    /// The match with its gateways as `namespace/name`, because those of a delegate are of another namespace.
    fileprivate func resolvingGateways(_ namespace: String, _ names: Names) -> HTTPMatch {
        guard !gateways.isEmpty else { return self }
        var match = self
        for index in gateways.indices where gateways[index].value != "mesh" {
            match.gateways[index].value = names.gateway(gateways[index].value, namespace: namespace)
        }
        return match
    }

    /// Whether a delegate's match asks for no more than a match of the rule that names the delegate, as Istio's
    /// `hasConflict` decides it.
    fileprivate func isCompatible(with root: HTTPMatch) -> Bool {
        let texts = [
            (root.uri, uri), (root.scheme, scheme), (root.method, method), (root.authority, authority),
        ]
        guard texts.allSatisfy({ Self.fits($0.1, $0.0) }), ignoreUriCase == root.ignoreUriCase,
            Self.fits(headers, root.headers), Self.fits(withoutHeaders, root.withoutHeaders),
            Self.fits(queryParams, root.queryParams)
        else { return false }
        if let port, let wanted = root.port, port.value != wanted.value { return false }
        if let wanted = root.sourceNamespace, !wanted.isEmpty, sourceNamespace != wanted { return false }
        for (key, value) in sourceLabels where root.sourceLabels[key] ?? value != value { return false }
        guard !gateways.isEmpty, !root.gateways.isEmpty else { return true }
        let allowed = Set(root.gateways.map(\.value))
        return gateways.count <= root.gateways.count && gateways.allSatisfy { allowed.contains($0.value) }
    }

    private static func fits(_ conditions: [NamedMatch], _ root: [NamedMatch]) -> Bool {
        guard !conditions.isEmpty, !root.isEmpty else { return true }
        let others = Dictionary(root.map { ($0.name, $0.match) }) { first, _ in first }
        return conditions.allSatisfy { fits($0.match, others[$0.name]) }
    }

    /// Whether a text's condition is the same as the other rule's, or narrower. Only exact texts and prefixes can be
    /// compared; of an empty one Istio knows nothing.
    private static func fits(_ own: StringMatch?, _ root: StringMatch?) -> Bool {
        guard let own, let root else { return true }
        return switch (root, own) {
        case (.exact(let wanted), .exact(let text)): !wanted.isEmpty && text == wanted
        case (.prefix(let wanted), .exact(let text)), (.prefix(let wanted), .prefix(let text)):
            !wanted.isEmpty && !text.isEmpty && text.utf8.starts(with: wanted.utf8)
        default: false
        }
    }

    /// The delegate's match with the conditions that it takes from the other; of one name, the delegate's is kept.
    fileprivate func merged(into root: HTTPMatch) -> HTTPMatch {
        var merged = self
        merged.isFaulty = isFaulty || root.isFaulty
        merged.uri = uri ?? root.uri
        merged.scheme = scheme ?? root.scheme
        merged.method = method ?? root.method
        merged.authority = authority ?? root.authority
        merged.headers = Self.united(headers, root.headers)
        merged.withoutHeaders = Self.united(withoutHeaders, root.withoutHeaders)
        merged.queryParams = Self.united(queryParams, root.queryParams)
        merged.port = port ?? root.port
        merged.sourceLabels = root.sourceLabels.merging(sourceLabels) { _, own in own }
        if (sourceNamespace ?? "").isEmpty { merged.sourceNamespace = root.sourceNamespace }
        if gateways.isEmpty { merged.gateways = root.gateways }
        if (statPrefix ?? "").isEmpty { merged.statPrefix = root.statPrefix }
        return merged
    }

    private static func united(_ own: [NamedMatch], _ root: [NamedMatch]) -> [NamedMatch] {
        let names = Set(own.map(\.name))
        return root.filter { !names.contains($0.name) } + own
    }
}
