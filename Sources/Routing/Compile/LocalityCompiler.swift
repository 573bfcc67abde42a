internal import Manifests

extension PolicyDirectory.Policy {
    /// Which endpoints of a port and subset are preferred by where they are; nil: none.
    /// Source: istio/istio pilot/pkg/networking/core/loadbalancer/loadbalancer.go (ApplyLocalityLoadBalancer).
    func locality(port: Int, subset: Subset?, _ options: CompileOptions) -> LocalityPolicy? {
        let setting = block(\.loadBalancer, port: port, subset: subset)?.locality
        guard setting?.isEnabled != false else { return nil }
        let own = options.locality ?? Locality()
        if let setting, !setting.distribute.isEmpty {
            return setting.distribute.first { $0.from.matches(own) }.map { entry in
                .distribute(
                    entry.to.map {
                        LocalityPolicy.Share(places: LocalityPattern($0.pattern.text.detached), percent: $0.share)
                    })
            }
        }
        if let setting, setting.isZoneAware { return Self.zoneAware(setting, options) }
        // Without outliers nobody would ever be found unhealthy.
        guard block(\.outlierDetection, port: port, subset: subset) != nil else { return nil }
        let hasRegions = setting?.failover.isEmpty == false
        let preferences = (setting?.failoverPriority ?? []).map { Self.preference($0, options) }
        // Istio does so without any setting; here `--locality` has to say where the gateway is.
        guard !preferences.isEmpty || options.locality != nil else { return nil }
        return .failover(
            LocalityPolicy.Failover(
                own: own, preferences: preferences,
                next: setting?.failover.first { $0.from == own.region }?.to.detached,
                countsPlaces: preferences.isEmpty || hasRegions))
    }

    /// Regions count always, and labels before them. Zones would get shares by how the gateway's own replicas are
    /// spread over them, which it does not know of itself.
    /// Source: istio/api networking/v1alpha3/destination_rule.proto (ZoneAwareLoadBalancerSetting).
    private static func zoneAware(_ setting: LocalitySetting, _ options: CompileOptions) -> LocalityPolicy? {
        let preferences = setting.failoverPriority.map { preference($0, options) }
        guard !preferences.isEmpty || options.locality != nil else { return nil }
        let own = options.locality ?? Locality()
        return .failover(
            LocalityPolicy.Failover(
                own: own, preferences: preferences,
                next: setting.failover.first { $0.from == own.region }?.to.detached,
                countsPlaces: options.locality != nil || !setting.failover.isEmpty, countsOnlyRegions: true))
    }

    /// A label is compared with this gateway's own, unless a value is written.
    private static func preference(_ text: String, _ options: CompileOptions) -> LocalityPolicy.Preference {
        let parts = text.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
        if parts.count == 2 { return LocalityPolicy.Preference(key: parts[0].detached, value: parts[1].detached) }
        let key = parts.first ?? ""
        let value = options.locality?.labels[key] ?? options.labels[key] ?? ""
        return LocalityPolicy.Preference(key: key.detached, value: value)
    }
}

extension TrafficPolicy {
    /// The labels that endpoints are preferred by.
    var preferenceKeys: Set<String> {
        let settings = [loadBalancer?.locality] + portLevel.map { $0.policy.loadBalancer?.locality }
        let labels = settings.flatMap { $0?.failoverPriority ?? [] }
        return Set(labels.map { String($0.prefix { $0 != "=" }) })
    }
}

extension Inventory {
    /// Whether the places of Nodes decide anything: rules may count places, or select by them.
    func needsNodes(_ options: CompileOptions) -> Bool {
        let knowsOwn = options.locality != nil || options.node != nil
        return destinationRules.contains { rule in
            let policies = [rule.trafficPolicy] + rule.subsets.map(\.trafficPolicy)
            return rule.subsets.contains { Locality.Topology.all.contains(where: $0.labels.keys.contains) }
                || policies.compactMap(\.self).contains { $0.needsPlaces(knowsOwn) }
        }
    }
}

extension TrafficPolicy {
    /// - Parameter knowsOwn: whether it is known where this gateway is, without which nothing is near.
    fileprivate func needsPlaces(_ knowsOwn: Bool) -> Bool {
        if let setting = loadBalancer?.locality, setting.isEnabled != false { return true }
        if knowsOwn, outlierDetection != nil { return true }
        return portLevel.contains { $0.policy.needsPlaces(knowsOwn) }
    }
}

extension LocalityPolicy {
    /// Names and values of its fields, as `portico routes` shows them.
    var lines: [(name: String, value: String)] {
        switch self {
        case .distribute(let shares):
            let parts = shares.map { "\($0.places.text) \($0.percent)%" }
            return [(name: "distribute", value: parts.joined(separator: " "))]
        case .failover(let failover):
            var lines: [(name: String, value: String)] = []
            if !failover.preferences.isEmpty {
                let labels = failover.preferences.map { "\($0.key)=\($0.value)" }
                lines.append((name: "failoverPriority", value: labels.joined(separator: " ")))
            }
            if failover.countsPlaces {
                let name = failover.countsOnlyRegions ? "in the region of" : "nearest to"
                lines.append((name: name, value: "\(failover.own)"))
                if let next = failover.next { lines.append((name: "then", value: next)) }
            }
            return lines
        }
    }

    /// What the rank of an endpoint is called in the output of `portico routes`.
    var rankName: String {
        switch self {
        case .distribute: "share"
        case .failover: "priority"
        }
    }

    /// What `portico routes` shows for a rank: its share in percent, or its priority from 0.
    func number(of rank: Int) -> Int {
        switch self {
        case .distribute(let shares): rank < shares.count ? shares[rank].percent : 0
        case .failover: rank
        }
    }

    /// What is shown behind an endpoint of that rank.
    func text(of rank: Int) -> String {
        switch self {
        case .distribute: " of \(number(of: rank))%"
        case .failover: " priority \(rank)"
        }
    }
}
