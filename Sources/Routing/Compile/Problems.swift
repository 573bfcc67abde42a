internal import Manifests
internal import Octets

/// Collects diagnostics; a place is told once per code, however often it is compiled.
final class Problems {
    private var diagnostics: [Diagnostic] = []
    private var told: Set<Told> = []
    /// Searching for the nearest name costs a look at every name: so many looks are spent in all.
    private var looksLeft = 200_000

    private struct Told: Hashable {
        let place: SourcePlace
        let code: String
        let message: String
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
        let key = Told(place: diagnostic.place, code: diagnostic.code, message: diagnostic.message)
        if told.insert(key).inserted { diagnostics.append(diagnostic) }
    }

    /// The candidate that differs least from `name`; nil when none is near.
    func nearest(to name: String, among candidates: some Sequence<String>) -> String? {
        guard looksLeft > 0 else { return nil }
        let wanted = Array(name.utf8)
        var limit = max(2, wanted.count / 3) + 1
        var best: String?
        for candidate in candidates {
            looksLeft -= 1
            let distance = NearestName.distance(wanted, Array(candidate.utf8), below: limit)
            if distance < limit { (limit, best) = (distance, candidate) }
            if limit == 0 { break }
        }
        return best
    }
}
