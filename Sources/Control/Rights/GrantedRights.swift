internal import JSON

/// What a server says that somebody may do in a namespace.
/// Source: https://kubernetes.io/docs/reference/access-authn-authz/authorization/.
package struct GrantedRights: Sendable {
    /// One rule of it: each verb on each resource of each group.
    struct Rule: Sendable, Equatable {
        var verbs: [String] = []
        var groups: [String] = []
        var resources: [String] = []
        /// Empty: all names.
        var names: [String] = []
    }

    private(set) var rules: [Rule] = []
    /// Whether the server may have left some out.
    package private(set) var isIncomplete = false

    /// Reads an answer.
    /// - Throws: that it is none.
    init(_ octets: [UInt8]) throws(JSONError) {
        var (rules, isIncomplete): ([Rule], Bool) = ([], false)
        try JSONReader.read(octets) { (reader) throws(JSONError) in
            try reader.fields { (name, reader) throws(JSONError) in
                guard reader.equals(name, "status") else { return }
                try reader.fields { (name, reader) throws(JSONError) in
                    if reader.equals(name, "incomplete") {
                        isIncomplete = try reader.next() == .bool(true)
                    } else if reader.equals(name, "resourceRules") {
                        try reader.elements { (reader) throws(JSONError) in rules.append(try Self.rule(&reader)) }
                    }
                }
            }
            try reader.finish()
        }
        (self.rules, self.isIncomplete) = (rules, isIncomplete)
    }

    private static func rule(_ reader: inout JSONReader) throws(JSONError) -> Rule {
        var rule = Rule()
        try reader.fields { (name, reader) throws(JSONError) in
            switch reader.string(name) {
            case "verbs": rule.verbs = try texts(&reader)
            case "apiGroups": rule.groups = try texts(&reader)
            case "resources": rule.resources = try texts(&reader)
            case "resourceNames": rule.names = try texts(&reader)
            default: break
            }
        }
        return rule
    }

    private static func texts(_ reader: inout JSONReader) throws(JSONError) -> [String] {
        var found: [String] = []
        try reader.elements { (reader) throws(JSONError) in
            if let text = try reader.text() { found.append(text) }
        }
        return found
    }

    /// What is granted in this namespace and not needed there, as sentences. What every account has is left out.
    /// - Parameter namespace: the one that was asked about.
    package func unneeded(_ needed: [AccessRule], namespace: String) -> [String] {
        let here = needed.filter { $0.namespace == nil || $0.namespace == namespace }
        return rights.compactMap { right in
            let wanted = here.filter {
                $0.group == right.group && $0.resource == right.resource && $0.verbs.contains(right.verb)
            }
            return Self.excess(of: right, over: wanted)
        }
    }

    /// One verb on one resource.
    private struct Right {
        let verb: String
        let group: String
        let resource: String
        let names: [String]
        var words: String { "\(verb) \(resource)" + (group.isEmpty ? "" : ".\(group)") }
    }

    private var rights: [Right] {
        rules.flatMap { rule in
            let groups = rule.groups.filter { !(Self.everybodys.contains($0) && rule.verbs == ["create"]) }
            let resources = groups.flatMap { group in rule.resources.map { (group, $0) } }
            return resources.flatMap { group, resource in
                rule.verbs.map { Right(verb: $0, group: group, resource: resource, names: rule.names) }
            }
        }
    }

    /// - Parameter wanted: the rules that need the verb on the resource.
    /// - Returns: what of a right is not needed; nil: nothing.
    private static func excess(of right: Right, over wanted: [AccessRule]) -> String? {
        let own = right.names.joined(separator: ", ")
        guard !wanted.isEmpty else { return right.words + (own.isEmpty ? "" : " named \(own)") }
        guard !wanted.contains(where: \.names.isEmpty) else { return nil }
        let names = Set(wanted.flatMap(\.names))
        if right.names.isEmpty {
            return "\(right.words) of all names; needed: \(names.sorted().joined(separator: ", "))"
        }
        let others = right.names.filter { !names.contains($0) }
        return others.isEmpty ? nil : "\(right.words) named \(others.joined(separator: ", "))"
    }

    /// The groups in which every account may ask about itself.
    /// Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/.
    private static let everybodys: Set<String> = ["authorization.k8s.io", "authentication.k8s.io"]

    /// What is needed in this namespace and not granted there, as sentences.
    package func missing(_ needed: [AccessRule], namespace: String) -> [String] {
        var found: [String] = []
        for rule in needed where rule.namespace == nil || rule.namespace == namespace {
            for verb in rule.verbs {
                let names: [String?] = rule.names.isEmpty ? [nil] : rule.names
                for name in names where !allows(verb, rule, name) {
                    let right = "\(verb) \(rule.resource)" + (rule.group.isEmpty ? "" : ".\(rule.group)")
                    found.append(right + (name.map { " named \($0)" } ?? ""))
                }
            }
        }
        return found
    }

    private func allows(_ verb: String, _ rule: AccessRule, _ name: String?) -> Bool {
        rules.contains { granted in
            (granted.verbs.contains(verb) || granted.verbs.contains("*"))
                && (granted.groups.contains(rule.group) || granted.groups.contains("*"))
                && (granted.resources.contains(rule.resource) || granted.resources.contains("*"))
                && (granted.names.isEmpty || name.map(granted.names.contains) ?? false)
        }
    }
}
