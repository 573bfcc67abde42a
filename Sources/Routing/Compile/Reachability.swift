internal import Manifests

/// Finds which later matches the unconditional paths of earlier rules cover.
///
/// A path is hashed once, octet by octet. Where a prefix of that length was noted, the hash up to there says which one
/// it is. The factor differs in each process, so that no one can write paths with equal hashes.
struct Reachability {
    /// What comes before a rule and takes all of its requests.
    struct Cause {
        let description: String
        let place: SourcePlace
    }

    /// The longest path that is examined, in octets. The result is only a warning.
    private static let maximumOctets = 2048
    private static let factor = UInt64.random(in: .min ... .max) | 1

    private var prefixes: [UInt64: (text: String, place: SourcePlace)] = [:]
    private var exacts: [String: SourcePlace] = [:]
    private var lengths: Set<Int> = []
    /// What covers texts that were examined before. This never changes.
    private var covered: [String: Cause] = [:]
    /// Texts that nothing covered, with the number of prefixes that were known then.
    private var uncovered: [String: Int] = [:]

    /// Notes a match. Returns what covers it already; nil if nothing does.
    mutating func note(_ match: RuleMatch, place: SourcePlace) -> Cause? {
        if let cause = cause(of: match) { return cause }
        guard match.conditions.isEmpty, let (text, isExact) = Self.path(match) else { return nil }
        if isExact {
            exacts[text] = place
        } else {
            prefixes[text.utf8.reduce(0, Self.mix)] = (text, place)
            lengths.insert(text.utf8.count)
        }
        return nil
    }

    /// What covers a match; nil if nothing does.
    mutating func cause(of match: RuleMatch) -> Cause? {
        guard let (text, isExact) = Self.path(match) else { return nil }
        if isExact, let found = exacts[text] {
            return Cause(description: "the path \(text)", place: found)
        }
        return cover(of: text)
    }

    private mutating func cover(of text: String) -> Cause? {
        if let known = covered[text] { return known }
        if uncovered[text] == prefixes.count { return nil }
        guard let found = find(text) else {
            uncovered[text] = prefixes.count
            return nil
        }
        let cause = Cause(description: "the prefix '\(found.text)'", place: found.place)
        covered[text] = cause
        return cause
    }

    /// The shortest noted prefix of a text.
    private func find(_ text: String) -> (text: String, place: SourcePlace)? {
        if lengths.contains(0), let found = prefixes[0] { return found }
        var hash: UInt64 = 0
        var length = 0
        for octet in text.utf8 {
            hash = Self.mix(hash, octet)
            length += 1
            if lengths.contains(length), let found = prefixes[hash], text.utf8.starts(with: found.text.utf8) {
                return found
            }
        }
        return nil
    }

    private static func path(_ match: RuleMatch) -> (text: String, isExact: Bool)? {
        let path: (text: String, isExact: Bool)
        switch match.path {
        case .exact(let text, ignoringCase: false): path = (text, true)
        case .prefix(let text, ignoringCase: false): path = (text, false)
        default: return nil
        }
        return path.text.utf8.count <= maximumOctets ? path : nil
    }

    private static func mix(_ hash: UInt64, _ octet: UInt8) -> UInt64 {
        let product = (hash ^ UInt64(octet) &+ 1).multipliedFullWidth(by: factor)
        return product.high ^ product.low
    }
}
