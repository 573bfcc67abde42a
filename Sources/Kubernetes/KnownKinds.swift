/// The kinds that a gateway reads.
/// Source: https://kubernetes.io/docs/reference/kubernetes-api/;
/// istio/api kubernetes/customresourcedefinitions.gen.yaml.
extension ResourceKind {
    /// The ports that are opened, with the hosts and TLS of their servers.
    package static let gateways = istio("gateways", "Gateway")
    /// The rules by which requests and connections get their routes.
    package static let virtualServices = istio("virtualservices", "VirtualService")
    /// Subsets of a host, and how endpoints are chosen and spoken to.
    package static let destinationRules = istio("destinationrules", "DestinationRule")
    /// Hosts outside of the cluster, or beside its Services.
    package static let serviceEntries = istio("serviceentries", "ServiceEntry")
    /// Endpoints that are no Pods, for the ServiceEntries that select them.
    package static let workloadEntries = istio("workloadentries", "WorkloadEntry")
    /// The hosts of destinations inside the cluster, and their ports.
    package static let services = core("services", "Service")
    /// The endpoints of Services: they change most often of all kinds.
    package static let endpointSlices = ResourceKind(
        group: "discovery.k8s.io", versions: ["v1"], plural: "endpointslices", kind: "EndpointSlice")
    /// What stands in for EndpointSlices on a server that does not offer them.
    package static let endpoints = core("endpoints", "Endpoints")
    /// Only labels are needed of Pods, and a Pod's whole object is large.
    package static let pods = ResourceKind(
        group: "", versions: ["v1"], plural: "pods", kind: "Pod", isMetadataOnly: true)
    /// Only the labels are needed of Nodes, which change all the time. They are watched once somebody asks for them.
    package static let nodes = ResourceKind(
        group: "", versions: ["v1"], plural: "nodes", kind: "Node", isMetadataOnly: true, isClusterWide: true)
    /// Read one by one, by `ClusterWatch.watchSecrets`, and never listed.
    package static let secrets = core("secrets", "Secret")

    /// By which replicas elect the one that writes.
    package static let leases = ResourceKind(
        group: "coordination.k8s.io", versions: ["v1"], plural: "leases", kind: "Lease")
    /// What people read of an object's fate.
    package static let events = core("events", "Event")

    private static func istio(_ plural: String, _ kind: String) -> ResourceKind {
        ResourceKind(
            group: "networking.istio.io", versions: ["v1", "v1beta1", "v1alpha3"], plural: plural, kind: kind)
    }

    private static func core(_ plural: String, _ kind: String) -> ResourceKind {
        ResourceKind(group: "", versions: ["v1"], plural: plural, kind: kind)
    }
}
