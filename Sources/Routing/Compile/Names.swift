internal import Manifests

/// Completes and orders the names of objects.
struct Names {
    let options: CompileOptions

    /// A host in lower case. A name without a dot is completed to that of a Service in `namespace`, the namespace of
    /// the object that names it. Source: docs/istio.md, Host names.
    func expanded(_ host: String, namespace: String) -> String {
        let lower = host.lowercased()
        if lower == "*" || lower.contains(".") || lower.contains(":") { return lower }
        return full(lower, namespace)
    }

    /// The host of a Service.
    func full(_ service: String, _ namespace: String) -> String {
        "\(service).\(namespace).svc.\(options.clusterDomain)"
    }

    /// Whether an object is visible to this gateway. Source: docs/istio.md, Visibility.
    func isVisible(_ exportTo: [String], from namespace: String) -> Bool {
        exportTo.isEmpty
            || exportTo.contains { entry in
                entry == "*" || entry == options.gatewayNamespace
                    || (entry == "." && namespace == options.gatewayNamespace)
            }
    }

    /// `namespace/name` of a gateway reference. Source: docs/istio.md, Gateway references.
    func gateway(_ reference: String, namespace: String) -> String {
        if reference.hasPrefix("./") { return namespace + reference.dropFirst() }
        if reference.contains("/") { return reference }
        guard reference.utf8.contains(UInt8(ascii: ".")) else { return "\(namespace)/\(reference)" }
        let labels = reference.split(separator: ".", omittingEmptySubsequences: false)
        return labels.count > 1 ? "\(labels[1])/\(labels[0])" : "\(namespace)/\(reference)"
    }

    /// Whether `left` is before `right` in Istio's order of objects.
    static func precedes(_ left: ObjectMeta, _ right: ObjectMeta) -> Bool { left.age < right.age }

    /// Whether `labels` have all pairs of `selector`.
    static func matches(_ selector: [String: String], _ labels: [String: String]) -> Bool {
        selector.allSatisfy { labels[$0.key] == $0.value }
    }
}

extension ObjectMeta {
    /// The key of Istio's order of objects: age, then name, then namespace. Objects without a time stamp, as they are
    /// in files, count as the oldest. The order of files does not matter. Source: docs/istio.md, Order of objects.
    struct Age: Comparable {
        let created: String
        let name: String
        let namespace: String

        static func < (left: Age, right: Age) -> Bool {
            if left.created != right.created { return left.created < right.created }
            if left.name != right.name { return left.name < right.name }
            return left.namespace < right.namespace
        }
    }

    var age: Age { Age(created: creationTimestamp ?? "", name: name, namespace: namespace) }
}
