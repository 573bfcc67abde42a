internal import Balancing
internal import Manifests

extension PolicyDirectory.Policy {
    /// How the new endpoints of a port and subset come to their share; nil: at once. Only ROUND_ROBIN and LEAST_REQUEST
    /// know weights that change. Source: istio/api networking/v1alpha3/destination_rule.proto (WarmupConfiguration).
    func warmup(port: Int, subset: Subset?) -> WarmupPolicy? {
        guard let block = block(\.loadBalancer, port: port, subset: subset), let written = block.warmup,
            balancing(port: port, subset: subset) != .random
        else { return nil }
        return WarmupPolicy(
            window: written.duration, minimum: written.minimumPercent / 100, aggression: written.aggression)
    }
}

extension WarmupPolicy {
    /// Names and values of its fields, as `portico routes` shows them.
    var lines: [(name: String, value: String)] {
        [
            (name: "duration", value: window.milliseconds), (name: "minimumPercent", value: "\(minimum * 100)"),
            (name: "aggression", value: "\(aggression)"),
        ]
    }
}
