internal import Manifests

/// Pods by name, by address and by label, so that no question looks at all of them.
struct PodIndex: Sendable {
    private var pods: [ServiceName: KnownPod] = [:]
    private var byAddress: [String: [ServiceName]] = [:]    // the last one counts
    private var byLabel: [Label: Set<ServiceName>] = [:]
    /// The keys of labels that are kept.
    let keys: Set<String>
    private var added = 0

    private struct Label: Hashable {
        let namespace: String
        let key: String
        let value: String
    }

    /// - Parameter keys: of the labels that may be asked for; others are not kept.
    init(keys: Set<String>) { self.keys = keys }

    /// Has memory of its own from now on, so that the next change copies nothing.
    mutating func separate() {
        pods.reserveCapacity(pods.count)
        byAddress.reserveCapacity(byAddress.count)
        byLabel.reserveCapacity(byLabel.count)
    }

    /// Takes a pod's newest version; nil when it is gone.
    /// - Returns: the endpoints that it may be behind, before and now; nil when nothing has changed that matters.
    @discardableResult mutating func set(_ name: ServiceName, _ pod: Pod?) -> Set<PodKey>? {
        let old = pods[name]
        let known = pod.map { KnownPod($0, keys: keys, order: old?.order ?? added) }
        guard known != old else { return nil }
        if let old { forget(name, old) }
        pods[name] = nil
        if let known { add(name.detached, known) }
        let addresses = (old?.addresses ?? []) + (known?.addresses ?? [])
        return Set(addresses.map { .address($0) }).union([.pod(name)])
    }

    private mutating func add(_ name: ServiceName, _ known: KnownPod) {
        added += 1
        pods[name] = known
        if !known.isTerminating { for address in known.addresses { byAddress[address, default: []].append(name) } }
        for (key, value) in known.labels {
            byLabel[Label(namespace: name.namespace, key: key, value: value), default: []].insert(name)
        }
    }

    private mutating func forget(_ name: ServiceName, _ old: KnownPod) {
        for address in old.addresses {
            byAddress[address]?.removeAll { $0 == name }
            if byAddress[address]?.isEmpty == true { byAddress[address] = nil }
        }
        for (key, value) in old.labels {
            let label = Label(namespace: name.namespace, key: key, value: value)
            byLabel[label]?.remove(name)
            if byLabel[label]?.isEmpty == true { byLabel[label] = nil }
        }
    }

    /// The pods of a namespace with all of these labels, in the order they came; none when there are no labels
    /// to ask for.
    func selected(by selector: [String: String], namespace: String) -> [KnownPod] {
        let sets = selector.map { byLabel[Label(namespace: namespace, key: $0.key, value: $0.value)] ?? [] }
        guard let smallest = sets.min(by: { $0.count < $1.count }) else { return [] }
        return smallest.compactMap { pods[$0] }.filter { Names.matches(selector, $0.labels) }
            .sorted { $0.order < $1.order }
    }

    /// The labels of the pod behind an endpoint; nil when it is not known.
    func labels(target: ServiceName?, address: String) -> [String: String]? {
        if let target, let pod = pods[target] { return pod.labels }
        guard let name = byAddress[address]?.last else { return nil }
        return pods[name]?.labels
    }
}

/// What the table keeps of a Pod.
struct KnownPod: Sendable, Equatable {
    /// Those that may be asked for.
    let labels: [String: String]
    let addresses: [String]
    /// It runs, is ready, and is not about to end.
    let isUsable: Bool
    let isTerminating: Bool
    /// The name of its Node; empty if it is not known.
    let node: String
    /// Named TCP ports.
    private let ports: [String: Int]
    /// Its place among all pods.
    let order: Int

    init(_ pod: Pod, keys: Set<String>, order: Int) {
        var labels: [String: String] = [:]
        for (key, value) in pod.meta.labels where keys.contains(key) { labels[key.detached] = value.detached }
        self.labels = labels
        addresses = pod.addresses.map(\.detached)
        let isUp = pod.phase == nil || pod.phase == "Running"
        isTerminating = pod.isTerminating
        node = (pod.nodeName ?? "").detached
        isUsable = isUp && pod.isReady && !pod.isTerminating
        let named = pod.ports.lazy.filter { $0.transport == .tcp }.map { ($0.name.detached, $0.number) }
        ports = Dictionary(named) { first, _ in first }
        self.order = order
    }

    /// The port that a Service's target names; nil when the pod has none of this name.
    func number(of target: TargetPort) -> Int? {
        switch target {
        case .number(let number): number
        case .name(let name): ports[name]
        }
    }
}
