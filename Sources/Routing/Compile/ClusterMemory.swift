internal import Manifests

/// The clusters of one compilation, for the next one with the same `ServiceFrame`.
struct ClusterMemory {
    let clusters: [ClusterPlan]
    let numbers: [ClusterTable.Key: Int]
    /// By cluster: whether it can be made again without asking anything. There was nothing to report about it.
    let isPlain: [Bool]
    /// By cluster: what was asked of its endpoints.
    let checks: [EndpointCheck?]
}

extension ClusterTable {
    /// What is kept for the next compilation.
    var kept: ClusterMemory {
        var checks: [EndpointCheck?] = Array(repeating: nil, count: clusters.count)
        for check in self.checks { checks[check.cluster] = check }
        return ClusterMemory(clusters: clusters, numbers: numbers, isPlain: isPlain, checks: checks)
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
    /// - Parameter asker: of its first destination.
    /// - Returns: nil if it has to be asked for in the usual way, because there may be something to report.
    func again(_ old: Int, asker: () -> Asker?) -> Int? {
        guard let memory else { return nil }
        if successors[old] >= 0 { return onlyRelayed.contains(successors[old]) ? nil : successors[old] }
        guard memory.isPlain[old] else { return nil }
        let plan = memory.clusters[old]
        let count = reader.count(of: plan.source)
        guard endpoints + count <= names.options.mostEndpoints, let asker = asker() else { return nil }
        if let check = memory.checks[old] {
            guard let same = check.moved(to: clusters.count, asker) else { return nil }
            checks.append(same)
        }
        endpoints += count
        let number = make(memory.key(of: plan), plan)
        origins[number] = old
        isPlain[number] = true
        return number
    }
}

extension ClusterMemory {
    /// The key of a plain cluster.
    fileprivate func key(of plan: ClusterPlan) -> ClusterTable.Key {
        ClusterTable.Key(host: plan.host, port: plan.port, subset: plan.subset, fault: nil)
    }
}

extension EndpointCheck {
    /// The check of the same cluster under another number; nil if it is not written by this asker at the same place.
    fileprivate func moved(to cluster: Int, _ asker: ClusterTable.Asker) -> EndpointCheck? {
        let written = asker.destination
        guard object == asker.object, host.isWritten(like: written.host), isSame(subset?.written, written.subset)
        else { return nil }
        return EndpointCheck(
            cluster: cluster, object: object, host: host, subset: subset, portName: portName, isAlias: isAlias,
            ownName: ownName, leftOut: leftOut)
    }

    private func isSame(_ kept: Located<String>?, _ written: Located<String>?) -> Bool {
        guard let kept, let written else { return (kept == nil) == (written == nil) }
        return kept.isWritten(like: written)
    }
}
