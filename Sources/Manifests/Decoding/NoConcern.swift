extension NotInEffect {
    /// Fields that are known and checked, and that an edge gateway has no use for. A note says so, because an author
    /// may expect an effect; no later version will have one. Source: Istio `Gateway`, `VirtualService`, `ServiceEntry`.
    package static let noConcern: [Field] = [
        .leavesAlone("Gateway", "spec.servers[].name", "it names a server in the statistics of Istio's gateway"),
        .leavesAlone(
            "Gateway", "spec.servers[].tls.tlsCertificates[].caCertificates",
            "the authorities of clients are `caCertificates` of `tls` itself, as in Istio"),
        .leavesAlone("VirtualService", "spec.http[].match[].name", "logs have the name of the rule"),
        .leavesAlone(
            "ServiceEntry", "spec.location",
            "it says to sidecars who encrypts; a gateway has DestinationRules for that"),
        .leavesAlone("ServiceEntry", "spec.addresses", "they are for the clients of sidecars"),
        .leavesAlone("ServiceEntry", "spec.endpoints[].network", network),
        .leavesAlone("WorkloadEntry", "spec.network", network),
        .leavesAlone("ServiceEntry", "spec.endpoints[].serviceAccount", identity),
        .leavesAlone("WorkloadEntry", "spec.serviceAccount", identity),
        .leavesAlone(
            "DestinationRule", "POLICY.loadBalancer.zoneAwareLbSetting.minClusterSize",
            "zones get shares by how the gateway's own replicas are spread over them, which no gateway knows: "
                + "all zones of the region share the requests, as in Istio without ISTIO_META_ENABLE_SELF_DISCOVERY"),
    ]

    private static let network = "every endpoint is reached by its own address"
    private static let identity = "the names in certificates that are accepted are `subjectAltNames`"
}

extension NotInEffect.Field {
    fileprivate static func leavesAlone(_ kind: String, _ path: String, _ reason: String) -> Self {
        Self(
            kind: kind, path: path, consequence: .noConcern, condition: "", values: .any, hint: reason, judge: nil)
    }
}
