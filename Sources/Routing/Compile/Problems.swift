internal import Manifests
internal import Octets

extension [Diagnostic] {
    /// Merges two lists that are sorted by place; those of one place stay in this order.
    func merged(with others: [Diagnostic]) -> [Diagnostic] { others.isEmpty ? self : (self + others).byPlace }

    /// Sorted by place; those of one place keep their order.
    fileprivate var byPlace: [Diagnostic] {
        enumerated().sorted { left, right in
            let (one, other) = (left.element.place, right.element.place)
            return (one.file, one.line, one.column, left.offset)
                < (other.file, other.line, other.column, right.offset)
        }.map(\.element)
    }
}

/// Collects the diagnostics of a compilation. A place gets each message once, however often it is compiled, and at most
/// 100 messages of one code: each port of a Gateway may find something else wrong with each destination.
///
/// Thread: the compiler's, which is the loader's or a command's. Freed by: the end of the compilation.
final class Problems {
    private var diagnostics: [Diagnostic] = []
    private var reported: Set<Report> = []
    private var counts: [Subject: Int] = [:]
    /// How often something was to be reported, also where it was said already.
    private(set) var attempts = 0
    private static let mostOfOneCode = 100
    /// Limits the search for nearest names, which examines every name: how many are examined in one load.
    private static let mostLooks = 200_000
    private var looksLeft: Int

    private struct Report: Hashable {
        let place: SourcePlace
        let code: String
        let message: String
    }

    private struct Subject: Hashable {
        let place: SourcePlace
        let code: String
    }

    /// - Parameter looks: names that are examined for nearest ones; tests have fewer.
    init(looks: Int = mostLooks) { looksLeft = looks }

    /// All diagnostics by place; those of one place in the order in which they were found.
    var sorted: [Diagnostic] { diagnostics.byPlace }

    /// Adds a diagnostic, unless its place has the same message already, or 100 messages of its code.
    func add(_ diagnostic: Diagnostic) {
        attempts += 1
        let subject = Subject(place: diagnostic.place, code: diagnostic.code)
        guard counts[subject, default: 0] < Self.mostOfOneCode else { return }
        let key = Report(place: diagnostic.place, code: diagnostic.code, message: diagnostic.message)
        guard reported.insert(key).inserted else { return }
        counts[subject, default: 0] += 1
        diagnostics.append(diagnostic)
    }

    /// The candidate that differs least from `name`; nil if none is near enough.
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
