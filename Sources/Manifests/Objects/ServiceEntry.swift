/// A ServiceEntry (networking.istio.io): a service that Kubernetes does not know. Source: Istio `ServiceEntry`.
package struct ServiceEntry: Sendable {
    package let meta: ObjectMeta
    package var hosts: [Located<String>] = []
    package var addresses: [Located<String>] = []
    package var ports: [Port] = []
    package var isMeshInternal = false
    package var resolution: Located<Resolution>?
    package var endpoints: [Workload] = []
    /// The endpoints are the WorkloadEntries and Pods of the same namespace with these labels.
    package var workloadSelector: [String: String]?
    package var exportTo: [Located<String>] = []
    package var subjectAltNames: [String] = []
    /// Fields that are not in effect yet; requests to its hosts are answered 503.
    package var closings: [ClosingField] = []

    /// An entry of `ports`.
    package struct Port: Sendable {
        package let place: SourcePlace
        package let path: String
        package var number: Int
        package var name: String
        /// nil if it is not written.
        package var `protocol`: PortProtocol?
        package var targetPort: Int?
    }

    /// The values of `resolution`.
    package enum Resolution: String, Sendable, CaseIterable {
        case none = "NONE"
        case `static` = "STATIC"
        case dns = "DNS"
        case dnsRoundRobin = "DNS_ROUND_ROBIN"
        case dynamicDNS = "DYNAMIC_DNS"
    }
}

/// The `spec` of a WorkloadEntry, or an entry of a ServiceEntry's `endpoints`.
package struct Workload: Sendable {
    package let place: SourcePlace
    package let path: String
    /// An IP address, a DNS name, or a `unix:` path; empty if only `network` is written.
    package var address: Located<String>
    /// Ports by the name of the service's port.
    package var ports: [String: Int] = [:]
    package var labels: [String: String] = [:]
    package var network: String?
    /// `region/zone/subzone`.
    package var locality: String?
    /// At least 1.
    package var weight = 1
    package var serviceAccount: String?

    /// Where it is; nil if nothing says so. Source: docs/istio.md, Locality.
    package var whereabouts: Locality? {
        guard let locality, !locality.isEmpty else { return Locality(labels: labels) }
        return Locality(locality)
    }

    /// Its labels, and those of its place.
    package var allLabels: [String: String] { labels.merging(whereabouts?.labels ?? [:]) { $1 } }
}

/// A WorkloadEntry (networking.istio.io): an endpoint outside Kubernetes. Source: Istio `WorkloadEntry`.
package struct WorkloadEntry: Sendable {
    package let meta: ObjectMeta
    /// Its `spec`. The labels of `metadata` replace equal ones of `spec`.
    package var workload: Workload
}
