internal import Manifests

/// An index of the `workloadSelector`s of all ServiceEntries, so that no workload is compared with all of them.
///
/// Thread: the compiler's, which is the loader's or a command's. Freed by: the end of the compilation.
final class WorkloadSelectors {
    /// A label as the selectors of a namespace ask for it.
    private struct Label: Hashable {
        let namespace: String
        let key: String
        let value: String
    }

    /// By label: selectors. Each selector is under the one of its labels that the fewest other selectors have.
    private var byLabel: [Label: [[String: String]]] = [:]
    private var everything: Set<String> = []    // namespaces with a selector without labels
    /// Limits how many selectors are compared in all. After that each workload counts as selected, because it is only
    /// about a note.
    private var looksLeft = 10_000_000

    init(_ entries: [ServiceEntry]) {
        var distinct: Set<Selector> = []
        for entry in entries {
            guard let labels = entry.workloadSelector else { continue }
            distinct.insert(Selector(namespace: entry.meta.namespace, labels: labels))
        }
        var counts: [Label: Int] = [:]
        for selector in distinct { for label in selector.all { counts[label, default: 0] += 1 } }
        for selector in distinct {
            let rarest = selector.all.min { (counts[$0] ?? 0, $0.key) < (counts[$1] ?? 0, $1.key) }
            guard let rarest else {
                everything.insert(selector.namespace)
                continue
            }
            byLabel[rarest, default: []].append(selector.labels)
        }
    }

    private struct Selector: Hashable {
        let namespace: String
        let labels: [String: String]
        var all: [Label] { labels.map { Label(namespace: namespace, key: $0.key, value: $0.value) } }
    }

    /// Whether some selector of a namespace selects a workload with these labels.
    func select(_ labels: [String: String], namespace: String) -> Bool {
        if everything.contains(namespace) { return true }
        return labels.contains { key, value in
            let candidates = byLabel[Label(namespace: namespace, key: key, value: value)] ?? []
            looksLeft -= candidates.count
            return looksLeft < 0 || candidates.contains { Names.matches($0, labels) }
        }
    }
}
