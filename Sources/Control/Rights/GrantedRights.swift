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
        var found: [String] = []
        for rule in rules {
            for group in rule.groups where !(Self.everybodys.contains(group) && rule.verbs == ["create"]) {
                for resource in rule.resources {
                    let wanted = here.filter { $0.group == group && $0.resource == resource }
                    for verb in rule.verbs {
                        let right = "\(verb) \(resource)" + (group.isEmpty ? "" : ".\(group)")
                        let names = wanted.filter { $0.verbs.contains(verb) }.map(\.names)
                        if names.isEmpty {
                            let own = rule.names.joined(separator: ", ")
                            found.append(right + (own.isEmpty ? "" : " named \(own)"))
                        } else if !names.contains([]) {
                            let all = Set(names.joined())
                            let others = rule.names.filter { !all.contains($0) }
                            if rule.names.isEmpty {
                                found.append("\(right) of all names; needed: \(all.sorted().joined(separator: ", "))")
                            } else if !others.isEmpty {
                                found.append("\(right) named \(others.joined(separator: ", "))")
                            }
                        }
                    }
                }
            }
        }
        return found
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
