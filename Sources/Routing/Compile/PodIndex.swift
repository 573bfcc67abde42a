internal import Manifests

/// Finds Pods by name, address and label without searching all of them.
struct PodIndex {
    private let pods: [Pod]
    private var byName: [String: Int] = [:]    // namespace/name
    private var byAddress: [String: Int] = [:]
    private var byLabel: [Label: [Int]] = [:]

    private struct Label: Hashable {
        let namespace: String
        let key: String
        let value: String
    }

    init(_ pods: [Pod]) {
        self.pods = pods
        for (index, pod) in pods.enumerated() {
            byName["\(pod.meta.namespace)/\(pod.meta.name)"] = index
            for address in pod.addresses where !pod.isTerminating { byAddress[address] = index }
            for (key, value) in pod.meta.labels {
                byLabel[Label(namespace: pod.meta.namespace, key: key, value: value), default: []]
                    .append(index)
            }
        }
    }

    /// The Pods of a namespace with all of these labels; none if the selector is empty.
    func selected(by selector: [String: String], namespace: String) -> [Pod] {
        let lists = selector.map {
            byLabel[Label(namespace: namespace, key: $0.key, value: $0.value)] ?? []
        }
        guard let shortest = lists.min(by: { $0.count < $1.count }) else { return [] }
        return shortest.map { pods[$0] }.filter { Names.matches(selector, $0.meta.labels) }
    }

    /// The labels of the Pod behind an endpoint; nil if the Pod is not known.
    func labels(target: ObjectReference?, namespace: String, address: String) -> [String: String]? {
        if let target, target.kind == "Pod" {
            let space = target.namespace.isEmpty ? namespace : target.namespace
            if let index = byName["\(space)/\(target.name)"] { return pods[index].meta.labels }
        }
        return byAddress[address].map { pods[$0].meta.labels }
    }
}
