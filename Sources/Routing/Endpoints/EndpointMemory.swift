internal import Manifests

/// What was found of the endpoints of a plan, for the next plan of the same Services.
struct EndpointMemory: Sendable {
    /// By cluster: whether there was nothing to report.
    let isClean: [Bool]
    /// Reports on endpoints of Services that are not defined.
    let strays: [Diagnostic]
}

/// What need not be asked again of endpoints.
struct KnownEndpoints {
    let memory: EndpointMemory
    /// By cluster: its number in the plan before; -1 if it was not there.
    let origins: [Int]
    let concern: EndpointConcern

    /// Whether nothing was to be reported of a cluster's endpoints, and they are the same.
    func isClean(_ cluster: Int, _ source: EndpointSource, _ table: EndpointTable) -> Bool {
        let old = origins[cluster]
        guard old >= 0, memory.isClean[old] else { return false }
        if case .service(let lookup) = source, concern.services.contains(lookup.service) { return false }
        guard !concern.podNamespaces.isEmpty, table.selectsPods(source) else { return true }
        return source.namespace.map { !concern.podNamespaces.contains($0) } ?? true
    }

    /// The reports on endpoints of Services that are not defined; nil if they may be others.
    var strays: [Diagnostic]? { concern.services.isEmpty ? memory.strays : nil }
}
