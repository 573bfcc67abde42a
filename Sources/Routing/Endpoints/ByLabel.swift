/// Things with labels, such as the endpoints of one port of a service, found by them: each question costs what has
/// one of its labels, not all of the things, and the same question is answered once.
///
/// Thread: its owner's. Freed by: `EndpointReader` or `SourceFinder`.
final class ByLabel<Element> {
    private struct Label: Hashable {
        let key: String
        let value: String
    }

    private let all: [Element]
    private let labels: [[String: String]?]
    private var places: [Label: [Int]] = [:]
    private var answers: [[String: String]: [Element]] = [:]
    private var values: [String: [String]] = [:]
    /// How many have labels that are not known.
    let unknown: Int

    /// - Parameters:
    ///   - labels: of each element, nil when they are not known.
    ///   - unknown: of how many elements some labels are not known; nil counts those without any.
    init(_ all: [Element], labels: [[String: String]?], unknown: Int? = nil) {
        self.all = all
        self.labels = labels
        self.unknown = unknown ?? labels.count { $0 == nil }
        for (place, labels) in labels.enumerated() {
            for (key, value) in labels ?? [:] { places[Label(key: key, value: value), default: []].append(place) }
        }
    }

    var count: Int { all.count }

    /// The elements that have all of the wanted labels, in their order; all of them when none is wanted.
    /// - Parameter visits: grows by the elements that were looked at.
    func having(_ wanted: [String: String], _ visits: inout Int) -> [Element] {
        if wanted.isEmpty { return all }
        if let known = answers[wanted] { return known }
        let lists = wanted.map { places[Label(key: $0.key, value: $0.value)] ?? [] }
        let candidates = lists.min { $0.count < $1.count } ?? []
        visits += candidates.count
        let chosen = candidates.filter { Names.matches(wanted, labels[$0] ?? [:]) }.map { all[$0] }
        answers[wanted] = chosen
        return chosen
    }

    /// The first values that elements have for a label, for a message.
    func someValues(of label: String) -> [String] {
        if let known = values[label] { return known }
        let some = Array(Set(labels.compactMap { $0?[label] }).sorted().prefix(4))
        values[label] = some
        return some
    }
}
