/// A ServiceEntry (networking.istio.io): a service that Kubernetes does not know.
package struct ServiceEntry: Sendable {
    package let meta: ObjectMeta
    package var hosts: [Located<String>] = []
    package var addresses: [Located<String>] = []
    package var ports: [Port] = []
    package var isMeshInternal = false
    package var resolution: Located<Resolution>?
    package var endpoints: [Workload] = []
    /// Endpoints are the WorkloadEntries and Pods of the same namespace with these labels.
    package var workloadSelector: [String: String]?
    package var exportTo: [Located<String>] = []
    package var subjectAltNames: [String] = []
    /// What is not in effect yet: requests to its hosts are answered 503.
    package var closings: [ClosingField] = []

    package struct Port: Sendable {
        package let place: SourcePlace
        package let path: String
        package var number: Int
        package var name: String
        /// nil when not written.
        package var `protocol`: PortProtocol?
        package var targetPort: Int?
    }

    package enum Resolution: String, Sendable, CaseIterable {
        case none = "NONE"
        case `static` = "STATIC"
        case dns = "DNS"
        case dnsRoundRobin = "DNS_ROUND_ROBIN"
        case dynamicDNS = "DYNAMIC_DNS"
    }
}

/// The body of a WorkloadEntry, and an entry of `ServiceEntry.spec.endpoints`.
package struct Workload: Sendable {
    package let place: SourcePlace
    package let path: String
    /// IP address, DNS name, or `unix:` path; empty when only `network` is given.
    package var address: Located<String>
    /// By name of the service's port.
    package var ports: [String: Int] = [:]
    package var labels: [String: String] = [:]
    package var network: String?
    package var locality: String?
    /// At least 1.
    package var weight = 1
    package var serviceAccount: String?
}

/// A WorkloadEntry (networking.istio.io): one endpoint outside of Kubernetes.
package struct WorkloadEntry: Sendable {
    package let meta: ObjectMeta
    /// Its labels are `spec.labels` overridden by `metadata.labels`.
    package var workload: Workload
}
