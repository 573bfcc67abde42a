import Octets
import Patterns
import Routing

/// The meaning of a route table in the plainest words: every rule in order, on texts.
/// It shares no code with the compiled table.
struct NaiveMatcher {
    let hosts: [HostEntry]
    let ruleSets: [[Rule]]

    func match(_ request: TestRequest) -> RouteMatch {
        var host = request.authority.string.lowercased()
        if let colon = host.lastIndex(of: ":"),
            host[host.index(after: colon)...].allSatisfy(\.isNumber)
        {
            host = String(host[..<colon])
        }
        if host.count > 1, host.hasSuffix(".") { host.removeLast() }
        guard let set = ruleSet(host) else { return .noHost }
        let path = String(request.path.string.prefix { $0 != "?" && $0 != "#" })
        for rule in ruleSets[set] {
            let holds =
                rule.matches.isEmpty || rule.matches.contains { self.holds($0, path, request) }
            if holds { return .route(rule.route) }
        }
        return .noRoute
    }

    private func ruleSet(_ host: String) -> Int? {
        if let exact = hosts.first(where: { $0.name == host }) { return exact.ruleSet }
        let wild = hosts.filter {
            $0.name.hasPrefix("*.") && host.hasSuffix($0.name.dropFirst())
                && host.count >= $0.name.count
        }
        let longest = wild.map(\.name.count).max()
        if let found = wild.first(where: { $0.name.count == longest }) { return found.ruleSet }
        return hosts.first { $0.name == "*" }?.ruleSet
    }

    private func holds(_ match: RuleMatch, _ path: String, _ request: TestRequest) -> Bool {
        let pathHolds =
            switch match.path {
            case nil: true
            case .exact(let text, let ignoring):
                ignoring ? path.lowercased() == text.lowercased() : path == text
            case .prefix(let text, let ignoring):
                ignoring ? path.lowercased().hasPrefix(text.lowercased()) : path.hasPrefix(text)
            case .regex(let pattern): matches(pattern, path)
            }
        return pathHolds && match.conditions.allSatisfy { holds($0, request) }
    }

    private func holds(_ condition: Condition, _ request: TestRequest) -> Bool {
        switch condition.subject {
        case .header(let name): value(name, request).map { holds(condition.test, $0) } ?? false
        case .withoutHeader(let name):
            if case .present = condition.test {
                value(name, request) == nil
            } else {
                !holds(condition.test, value(name, request) ?? "")
            }
        case .method: holds(condition.test, request.method.string)
        case .scheme: holds(condition.test, request.scheme.string)
        case .authority: holds(condition.test, request.authority.string)
        case .port:
            holds(
                condition.test,
                String(
                    request.authority.string.split(
                        separator: ":", omittingEmptySubsequences: false
                    ).dropFirst().last ?? ""))
        case .query(let name): query(name, request).map { holds(condition.test, $0) } ?? false
        case .assumed: true
        }
    }

    private func holds(_ test: TextTest, _ text: String) -> Bool {
        switch test {
        case .present: true
        case .exact(let wanted): text == wanted
        case .prefix(let wanted): text.hasPrefix(wanted)
        case .regex(let pattern): matches(pattern, text)
        }
    }

    private func value(_ name: String, _ request: TestRequest) -> String? {
        let values = request.texts.filter { $0.name == name }.map(\.value)
        return values.isEmpty ? nil : values.joined(separator: name == "cookie" ? "; " : ",")
    }

    private func query(_ name: String, _ request: TestRequest) -> String? {
        let target = request.path.string.prefix { $0 != "#" }
        guard let mark = target.firstIndex(of: "?") else { return nil }
        for part in target[target.index(after: mark)...].split(separator: "&") {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair[0] == name { return pair.count > 1 ? String(pair[1]) : "" }
        }
        return nil
    }

    private func matches(_ pattern: Pattern, _ text: String) -> Bool {
        unsafe Array(text.utf8).withUnsafeBytes { pattern.matches(unsafe Octets($0)) }
    }
}
