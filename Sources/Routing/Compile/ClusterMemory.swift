internal import Manifests

/// The clusters of one compilation, for the next one with the same `ServiceFrame`.
struct ClusterMemory {
    let clusters: [ClusterPlan]
    let keys: [ClusterTable.Key]
    let numbers: [ClusterTable.Key: Int]
    /// By cluster: whether it can be made again without asking anything. There was nothing to report about it.
    let isPlain: [Bool]
    /// By cluster: what was asked of its endpoints.
    let checks: [EndpointCheck?]
    /// By cluster: the destination of a rule that has asked for it first, if that is known.
    let askers: [RuleDestination?]
}

/// A destination of a rule by its places: of the VirtualService, of the rule in it, of the destination in that.
struct RuleDestination: Hashable, Sendable {
    private let service: Int32
    private let rule: Int32
    private let destination: Int32

    init(_ service: Int, _ rule: Int, _ destination: Int) {
        self.service = Int32(clamping: service)
        self.rule = Int32(clamping: rule)
        self.destination = Int32(clamping: destination)
    }
}

extension ClusterTable {
    /// What is kept for the next compilation.
    var kept: ClusterMemory {
        var checks: [EndpointCheck?] = Array(repeating: nil, count: clusters.count)
        for check in self.checks { checks[check.cluster] = check }
        return ClusterMemory(
            clusters: clusters, keys: keys, numbers: allNumbers, isPlain: isPlain, checks: checks, askers: askers)
    }

    /// The numbers of all clusters. Those of the compilation before are in its table, most of them as they were.
    private var allNumbers: [Key: Int] {
        guard let memory else { return numbers }
        var all = memory.numbers
        for old in memory.clusters.indices where successors[old] != old {
            all[memory.keys[old]] = successors[old] < 0 ? nil : successors[old]
        }
        for (key, number) in numbers { all[key] = number }
        return all
    }

    /// The clusters: in the array of the compilation before if they are the same, so that others see that at once.
    var settled: [ClusterPlan] {
        guard let memory, memory.clusters.count == clusters.count else { return clusters }
        for number in clusters.indices where origins[number] != number {
            guard memory.clusters[number] == clusters[number] else { return clusters }
        }
        return memory.clusters
    }

    /// The number of a cluster that the compilation before had under the number `old`; it is made if it is not there.
    /// - Parameters:
    ///   - origin: the destination that asks, if it is of an object that is the same as before.
    ///   - asker: of its first destination.
    /// - Returns: nil if it has to be asked for in the usual way, because there may be something to report.
    func again(_ old: Int, origin: RuleDestination? = nil, asker: () -> Asker?) -> Int? {
        guard let memory else { return nil }
        if successors[old] >= 0 { return onlyRelayed.contains(successors[old]) ? nil : successors[old] }
        guard memory.isPlain[old] else { return nil }
        let count = reader.count(of: memory.clusters[old].source)
        guard endpoints + count <= names.options.mostEndpoints, askAgain(old, origin, memory, asker) else { return nil }
        endpoints += count
        let number = append(memory.keys[old], memory.clusters[old], origin: old)
        isPlain[number] = true
        askers[number] = origin
        return number
    }

    /// Asks what was asked of the cluster's endpoints.
    /// - Returns: false if somebody else asks now, or at another place.
    private func askAgain(
        _ old: Int, _ origin: RuleDestination?, _ memory: ClusterMemory, _ asker: () -> Asker?
    ) -> Bool {
        if let origin, origin == memory.askers[old] {
            if let check = memory.checks[old] { checks.append(check.moved(to: clusters.count)) }
            return true
        }
        guard let asker = asker() else { return false }
        guard let check = memory.checks[old] else { return true }
        guard check.isAsked(by: asker) else { return false }
        checks.append(check.moved(to: clusters.count))
        return true
    }
}

extension EndpointCheck {
    /// The same check of the same cluster under its number now.
    fileprivate func moved(to number: Int) -> EndpointCheck {
        number == cluster ? self : EndpointCheck(self, cluster: number)
    }

    /// Whether it is written by this asker at the same place.
    fileprivate func isAsked(by asker: ClusterTable.Asker) -> Bool {
        let written = asker.destination
        return object == asker.object && host.isWritten(like: written.host) && isSame(subset?.written, written.subset)
    }

    private func isSame(_ kept: Located<String>?, _ written: Located<String>?) -> Bool {
        guard let kept, let written else { return (kept == nil) == (written == nil) }
        return kept.isWritten(like: written)
    }
}
