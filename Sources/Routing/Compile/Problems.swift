internal import Manifests

/// Collects diagnostics. A place is told the same once, however often it is compiled, and no more than a hundred
/// things of one code: each port of a Gateway may find something else wrong with each destination.
final class Problems {
    private var diagnostics: [Diagnostic] = []
    private var told: Set<Told> = []
    private var counts: [Subject: Int] = [:]
    private static let mostOfOneCode = 100
    /// Searching for the nearest name costs a look at every name: so many looks are spent in all.
    private var looksLeft = 200_000

    private struct Told: Hashable {
        let place: SourcePlace
        let code: String
        let message: String
    }

    private struct Subject: Hashable {
        let place: SourcePlace
        let code: String
    }

    /// All of them, by place; those of one place in the order they were found.
    var sorted: [Diagnostic] {
        diagnostics.enumerated().sorted { left, right in
            let (one, other) = (left.element.place, right.element.place)
            return (one.file, one.line, one.column, left.offset)
                < (other.file, other.line, other.column, right.offset)
        }.map(\.element)
    }

    func add(_ diagnostic: Diagnostic) {
        let subject = Subject(place: diagnostic.place, code: diagnostic.code)
        guard counts[subject, default: 0] < Self.mostOfOneCode else { return }
        let key = Told(place: diagnostic.place, code: diagnostic.code, message: diagnostic.message)
        guard told.insert(key).inserted else { return }
        counts[subject, default: 0] += 1
        diagnostics.append(diagnostic)
    }

    /// The candidate that differs least from `name`; nil when none is near.
    func nearest(to name: String, among candidates: some Sequence<String>) -> String? {
        guard looksLeft > 0 else { return nil }
        let wanted = Array(name.utf8)
        var limit = max(2, wanted.count / 3) + 1
        var best: String?
        for candidate in candidates {
            looksLeft -= 1
            let distance = Self.distance(wanted, Array(candidate.utf8), below: limit)
            if distance < limit { (limit, best) = (distance, candidate) }
            if limit == 0 { break }
        }
        return best
    }

    /// Levenshtein's distance, or `limit` when it is not below it.
    private static func distance(_ left: [UInt8], _ right: [UInt8], below limit: Int) -> Int {
        guard abs(left.count - right.count) < limit, left.count <= 512, right.count <= 512 else {
            return limit
        }
        var row = Array(0...right.count)
        for (line, octet) in left.enumerated() {
            var diagonal = row[0]
            row[0] = line + 1
            var least = row[0]
            for column in 0..<right.count {
                let change = diagonal + (octet == right[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(change, diagonal + 1, row[column] + 1)
                least = min(least, row[column + 1])
            }
            if least >= limit { return limit }
        }
        return min(row[right.count], limit)
    }
}
