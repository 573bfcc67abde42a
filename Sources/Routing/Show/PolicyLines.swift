internal import Manifests

extension ClusterPolicies {
    /// Its policies as lines of the tree of routes.
    var lines: [String] {
        entries.map { "\($0.name): \($0.values.map { "\($0.name) \($0.value)" }.joined(separator: ", "))" }
    }

    private var entries: [(name: String, values: [(name: String, value: String)])] {
        let all = [
            ("connectionPool", pool?.lines), ("outlierDetection", outliers?.lines), ("consistentHash", hashing?.lines),
            ("localityLbSetting", locality?.lines), ("warmup", warmup?.lines),
            ("healthCheck", healthCheck?.lines),
            ("proxyProtocol", proxyVersion.map { [(name: "version", value: "V\($0.rawValue)")] }),
        ]
        return all.compactMap { entry in entry.1.map { (name: entry.0, values: $0) } }
    }

    /// Writes its policies as fields of a destination.
    func write(to writer: inout JSONText) {
        for entry in entries {
            writer.field(entry.name, of: entry.values) { values, writer in
                writer.object { writer in
                    for value in values { writer.field(value.name, value.value) }
                }
            }
        }
    }
}
