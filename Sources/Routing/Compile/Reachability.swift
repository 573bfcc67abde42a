internal import Manifests

/// The unconditional paths of some rules, to find what they cover of the rules behind them.
struct Reachability {
    struct Cause {
        let description: String
        let place: SourcePlace
    }
    private var prefixes: [String: SourcePlace] = [:]
    private var exacts: [String: SourcePlace] = [:]
    private var lengths: Set<Int> = []

    /// Notes a match; tells what covers it already.
    mutating func note(_ match: RuleMatch, place: SourcePlace) -> Cause? {
        if let cause = cause(of: match) { return cause }
        guard match.conditions.isEmpty, let (text, isExact) = Self.path(match) else { return nil }
        if isExact {
            exacts[text] = place
        } else {
            prefixes[text] = place
            lengths.insert(text.utf8.count)
        }
        return nil
    }

    /// What covers a match.
    func cause(of match: RuleMatch) -> Cause? {
        guard let (text, isExact) = Self.path(match) else { return nil }
        if isExact, let found = exacts[text] {
            return Cause(description: "the path \(text)", place: found)
        }
        let octets = text.utf8
        for length in lengths where length <= octets.count {
            let prefix = String(decoding: octets.prefix(length), as: UTF8.self)
            if let found = prefixes[prefix] {
                return Cause(description: "the prefix '\(prefix)'", place: found)
            }
        }
        return nil
    }

    private static func path(_ match: RuleMatch) -> (text: String, isExact: Bool)? {
        switch match.path {
        case .exact(let path, ignoringCase: false): (path, true)
        case .prefix(let path, ignoringCase: false): (path, false)
        default: nil
        }
    }
}
