internal import Manifests

/// Reports settings for localities that have no effect here, and why. Source: docs/istio.md, Locality.
struct LocalityChecks {
    let options: CompileOptions
    let problems: Problems

    /// Checks the policies of a rule that applies.
    func run(_ rule: DestinationRule) {
        check(rule.trafficPolicy, rule, outliers: nil)
        for subset in rule.subsets {
            check(subset.trafficPolicy, rule, outliers: rule.trafficPolicy?.outlierDetection)
        }
    }

    private func check(_ policy: TrafficPolicy?, _ rule: DestinationRule, outliers: OutlierDetection?) {
        guard let policy else { return }
        check(policy, rule, hasOutliers: policy.outlierDetection != nil || outliers != nil)
        for entry in policy.portLevel { check(entry.policy, rule, hasOutliers: entry.policy.outlierDetection != nil) }
    }

    private func check(_ policy: TrafficPolicy, _ rule: DestinationRule, hasOutliers: Bool) {
        guard let setting = policy.loadBalancer?.locality, setting.isEnabled != false else { return }
        if !setting.distribute.isEmpty {
            let own = options.locality ?? Locality()
            guard !setting.distribute.contains(where: { $0.from.matches(own) }) else { return }
            guard options.locality != nil else { return reportUnknownPlace("distribute", setting, rule) }
            let words = "no entry of `distribute` is for \(own), where this gateway is: all places share the requests"
            return add(.note, words, setting, rule)
        }
        guard hasOutliers || setting.isZoneAware else {
            let words = "without `outlierDetection` no endpoint is found unhealthy: all places share the requests"
            return add(.warning, words, setting, rule, hint: "write `outlierDetection: {}` for Envoy's defaults")
        }
        if setting.failoverPriority.isEmpty, options.locality == nil {
            let what = setting.isZoneAware ? "`zoneAwareLbSetting`" : "failover by place"
            reportUnknownPlace(setting.failover.isEmpty ? what : "failover", setting, rule)
        }
    }

    private func reportUnknownPlace(_ what: String, _ setting: LocalitySetting, _ rule: DestinationRule) {
        add(
            .warning, "\(what) has no effect: nothing says where this gateway is", setting, rule,
            hint: "give --locality region/zone/subzone, or --node NAME")
    }

    private func add(
        _ severity: Diagnostic.Severity, _ words: String, _ setting: LocalitySetting, _ rule: DestinationRule,
        hint: String? = nil
    ) {
        problems.add(
            Diagnostic(
                severity, "no-effect", words, hint: hint, at: setting.place, object: rule.meta.identity,
                path: setting.path))
    }
}
