internal import Manifests

/// Puts the rules of delegates in the place of the rules that name them, so that the compiler meets whole rules only.
/// Source: docs/istio.md, Delegates.
///
/// What it cannot merge has a report, and the report names both objects. A rule whose delegate is missing is dropped,
/// as in Istio: later rules get its requests. A rule whose delegate has an error is kept and answers 503.
struct Delegation {
    private let services: [VirtualService]
    private let names: Names
    private let problems: Problems
    private let leftOut: LeftOutObjects
    /// VirtualServices without hosts, and those with hosts that rules name, by `namespace/name`.
    private var places: [String: Int] = [:]
    /// How many more pairs of matches may be merged. One delegate may be named by many rules.
    private var room: Int

    /// The VirtualServices with the rules of their delegates, the same ones if none names a delegate; and the places of
    /// those that name one.
    static func expanded(
        _ services: [VirtualService], names: Names, problems: Problems, leftOut: LeftOutObjects
    ) -> (services: [VirtualService], roots: [Int]) {
        // By index, because copying a VirtualService counts a dozen references.
        let roots = services.indices.filter { index in
            services[index].http.indices.contains { services[index].http[$0].delegate != nil }
        }
        guard !roots.isEmpty else { return (services, []) }
        var delegation = Delegation(services, names: names, problems: problems, leftOut: leftOut)
        var expanded = services
        for root in roots where !names.options.limit.isOver { expanded[root].http = delegation.rules(of: root) }
        return (expanded, roots)
    }

    private init(_ services: [VirtualService], names: Names, problems: Problems, leftOut: LeftOutObjects) {
        self.services = services
        self.names = names
        self.problems = problems
        self.leftOut = leftOut
        room = names.options.mostMatches
        for index in services.indices { places[services[index].meta.reference] = index }
    }

    private mutating func rules(of root: Int) -> [HTTPRoute] {
        var rules: [HTTPRoute] = []
        for (position, rule) in services[root].http.enumerated() {
            guard let delegate = rule.delegate, !rule.isBroken else {
                rules.append(rule.named(String(position)))
                continue
            }
            switch target(of: delegate, rule, root) {
            case .rules(let index):
                rules += merged(rule.named(String(position)), index, root, hasName: rule.name != nil)
            case .nothing: continue
            case .broken:
                var closed = rule.named(String(position))
                closed.isBroken = true
                rules.append(closed)
            }
        }
        return rules
    }

    private enum Target {
        case rules(Int)
        case nothing
        case broken
    }

    /// What a rule delegates to. What it cannot use is reported.
    private func target(of delegate: Delegate, _ rule: HTTPRoute, _ root: Int) -> Target {
        let own = services[root].meta.namespace
        let namespace = delegate.target(from: own).namespace
        let name = "\(namespace)/\(delegate.name)"
        guard let index = places[name] else {
            if let object = leftOut.object("VirtualService", namespace, delegate.name) {
                report(
                    "unknown-delegate", "\(object.hint): the requests of this rule are answered 503", rule, root,
                    at: delegate, related: object.related)
                return .broken
            }
            let near = problems.nearest(to: name, among: delegates)
            report(
                "unknown-delegate", "there is no VirtualService \(name): this rule is left out", rule, root,
                at: delegate, hint: near.map { "did you mean \($0)?" })
            return .nothing
        }
        let meta = services[index].meta
        let related = [Diagnostic.Related(place: meta.place, message: "\(meta.identity)")]
        guard services[index].hosts.isEmpty else {
            report(
                "unknown-delegate",
                "\(meta.identity) has hosts of its own and is therefore no delegate: this rule is left out", rule, root,
                at: delegate, hint: "remove its hosts and gateways, or move the rules to one without hosts",
                related: related)
            return .nothing
        }
        guard Self.isExported(services[index].exportTo.map(\.value), from: namespace, to: own) else {
            report(
                "unknown-delegate",
                "\(meta.identity) is not exported to namespace \(own), which names it: this rule is left out", rule,
                root, at: delegate, hint: "add \(own) to its exportTo", related: related)
            return .nothing
        }
        return .rules(index)
    }

    /// All delegates as `namespace/name`, for hints.
    private var delegates: [String] {
        places.lazy.filter { services[$0.value].hosts.isEmpty }.map(\.key).sorted()
    }

    /// Whether an object of a namespace may be used from another one.
    /// Source: docs/istio.md, Delegates.
    static func isExported(_ exportTo: [String], from namespace: String, to other: String) -> Bool {
        exportTo.isEmpty
            || exportTo.contains { $0 == "*" || $0 == other || ($0 == "." && namespace == other) }
    }

    // MARK: Merging

    private mutating func merged(_ root: HTTPRoute, _ index: Int, _ service: Int, hasName: Bool) -> [HTTPRoute] {
        let delegate = services[index].meta
        var rules: [HTTPRoute] = []
        for (position, rule) in services[index].http.enumerated() {
            room -= max(rule.matches.count, 1) * max(root.matches.count, 1)
            guard room >= 0 else {
                reportTooMany(root, service)
                var closed = root
                closed.isBroken = true
                return rules + [closed]
            }
            let origin = RuleOrigin(
                delegate: delegate.identity, root: root.place, hasRootMatches: rule.matches.isEmpty,
                ownClosings: rule.closings.count)
            let spaces = (root: services[service].meta.namespace, delegate: delegate.namespace)
            guard var merged = rule.merged(into: root, origin: origin, namespaces: spaces, names) else {
                reportConflict(rule, delegate, root, service)
                continue
            }
            merged.name =
                switch (hasName ? root.name : nil, rule.name) {
                case (let first?, let second?): "\(first)-\(second)"
                case (let first?, nil): first
                case (nil, let second?): second
                case (nil, nil): "\(root.name ?? "")/\(delegate.reference)/\(position)"
                }
            rules.append(merged)
        }
        return rules
    }

    // MARK: Reports

    private func report(
        _ code: String, _ message: String, _ rule: HTTPRoute, _ root: Int, at delegate: Delegate, hint: String? = nil,
        related: [Diagnostic.Related] = []
    ) {
        problems.add(
            Diagnostic(
                .error, code, message, hint: hint, at: delegate.place, object: services[root].meta.identity,
                path: rule.path.text + ".delegate", related: related))
    }

    private func reportConflict(_ rule: HTTPRoute, _ delegate: ObjectMeta, _ root: HTTPRoute, _ service: Int) {
        problems.add(
            Diagnostic(
                .warning, "delegate-conflict",
                "this rule is not served for \(services[service].meta.identity): one of its matches asks for what no "
                    + "match of the rule that names this delegate allows",
                hint: "each match must be narrower than one of that rule's: the same exact text, or a text that "
                    + "begins with its prefix; a regex fits no other condition",
                at: rule.place, object: delegate.identity, path: rule.path.text,
                related: [Diagnostic.Related(place: root.place, message: "names this delegate")]))
    }

    private func reportTooMany(_ rule: HTTPRoute, _ root: Int) {
        problems.add(
            Diagnostic(
                .error, "too-many-rules",
                "the rules of delegates have more than \(names.options.mostMatches) matches with those that name "
                    + "them: the requests of this rule that they do not match are answered 503",
                hint: "name a large delegate in fewer rules", at: rule.place, object: services[root].meta.identity,
                path: rule.path.text))
    }
}

extension HTTPRoute {
    /// The rule under this name, unless it has one.
    fileprivate func named(_ name: String) -> HTTPRoute {
        guard self.name == nil else { return self }
        var rule = self
        rule.name = name
        return rule
    }
}

extension VirtualService {
    /// The object in which a rule is written: this one, or a delegate.
    func object(of rule: HTTPRoute) -> ObjectReference { rule.origin?.delegate ?? meta.identity }

    /// The object in which a closing field of a rule is written, by its number.
    func object(ofClosing number: Int, _ rule: HTTPRoute) -> ObjectReference {
        rule.origin.flatMap { number < $0.ownClosings ? $0.delegate : nil } ?? meta.identity
    }

    /// The object in which a rule's matches are written.
    func objectOfMatches(of rule: HTTPRoute) -> ObjectReference {
        rule.origin.flatMap { $0.hasRootMatches ? nil : $0.delegate } ?? meta.identity
    }
}
