internal import Manifests

/// What is said of a destination whose endpoints are the addresses of the host that each request names.
extension ClusterTable {
    /// Says that copies of requests have no destination there.
    func checkMirror(_ asker: Asker, _ number: Int) {
        guard case .requested = clusters[number].source else { return }
        report(
            .error, "no-addresses",
            "the endpoints of \(clusters[number].host) are those of the host that a request names, and the host of a "
                + "copy is another one, with -shadow: \(asker.fate)", asker, hint: "name a host that has addresses")
    }

    /// A cluster's policies without those that choose among endpoints that are known beforehand.
    func usable(_ policies: ClusterPolicies?, _ record: ServiceRecord, _ asker: Asker?) -> ClusterPolicies? {
        guard let policies else { return nil }
        let useless = [
            ("outlierDetection", policies.outliers != nil), ("consistentHash", policies.hashing != nil),
            ("localityLbSetting", policies.locality != nil), ("warmup", policies.warmup != nil),
        ].filter(\.1).map { "`\($0.0)`" }
        if let asker, !useless.isEmpty {
            report(
                .warning, "no-effect",
                "\(useless.joined(separator: ", ")) of a DestinationRule for \(record.host) has no effect: its "
                    + "endpoints are not known before a request names their host", asker, hint: nil)
        }
        return ClusterPolicies(pool: policies.pool, proxyVersion: policies.proxyVersion)
    }

    private func report(
        _ severity: Diagnostic.Severity, _ code: String, _ message: String, _ asker: Asker, hint: String?
    ) {
        let written = asker.destination.host
        problems.add(
            Diagnostic(
                severity, code, message, hint: hint, at: written.place, object: asker.object, path: written.path))
    }
}
