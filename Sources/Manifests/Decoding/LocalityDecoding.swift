// Decodes `localityLbSetting` and `zoneAwareLbSetting`. Source: istio/api
// networking/v1alpha3/destination_rule.proto (LocalityLoadBalancerSetting).

extension LocalitySetting {
    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        path = mapping.path
        isEnabled = mapping.bool("enabled")
        let distributeField = mapping.field("distribute")
        let failoverField = mapping.field("failover")
        distribute = (distributeField?.elements() ?? []).compactMap(Distribution.init)
        failover = (failoverField?.elements() ?? []).compactMap(Failover.init)
        let priorityField = mapping.field("failoverPriority")
        failoverPriority = mapping.strings("failoverPriority")
        mapping.finish()
        if let failoverField, let distributeField, !distribute.isEmpty, !failover.isEmpty {
            failoverField.error(
                "conflicting-fields", "`distribute` and `failover` exclude each other",
                hint: "`distribute` at line \(distributeField.place.line) names all places that get requests")
        }
        if let priorityField, failoverPriority.count > Self.mostEntries {
            priorityField.error("out-of-range", "more than \(Self.mostEntries) labels")
        }
        if let priorityField, !failover.isEmpty { Self.check(failoverPriority, priorityField) }
        Self.checkOverlap(distribute.map(\.from), "from", distributeField)
    }

    /// Places of a `distribute`, and labels: each is compared with each endpoint.
    private static let mostEntries = 256

    private static func check(_ labels: [String], _ value: Value) {
        for label in labels {
            let key = label.prefix { $0 != "=" }
            guard Locality.Topology.all.contains(String(key)) else { continue }
            value.error(
                "conflicting-fields", "regions that count and a priority for the label \(key) exclude each other",
                hint: "leave out the label: `failover` and `zoneAwareLbSetting` say where requests go from a region")
        }
    }

    /// Two patterns of one place would both say what it gets.
    fileprivate static func checkOverlap(_ patterns: [LocalityPattern], _ field: String, _ value: Value?) {
        guard patterns.count <= mostEntries else {
            value?.error("out-of-range", "`\(field)` names more than \(mostEntries) places")
            return
        }
        for (place, pattern) in patterns.enumerated() {
            guard let other = patterns[..<place].first(where: { $0.overlaps(pattern) }) else { continue }
            value?.error("conflicting-fields", "`\(field)`: \(pattern.text) and \(other.text) have places in common")
            return
        }
    }

    /// Reads `zoneAwareLbSetting`.
    init?(zoneAware value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        path = mapping.path
        isZoneAware = true
        isEnabled = mapping.bool("enabled") ?? false
        failover = mapping.elements("failover").compactMap(Failover.init)
        let labels = mapping.field("failoverPriority")
        failoverPriority = mapping.strings("failoverPriority")
        _ = mapping.count("minClusterSize")
        mapping.finish()
        guard let labels else { return }
        if failoverPriority.count > Self.mostEntries {
            labels.error("out-of-range", "more than \(Self.mostEntries) labels")
        }
        Self.check(failoverPriority, labels)
    }
}

extension LocalitySetting.Distribution {
    fileprivate init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        let written = mapping.require("from")
        let from = written?.string().map { LocalityPattern($0) }
        let target = mapping.require("to")
        for (key, share) in target?.entries() ?? [] {
            guard let number = share.int(1...100) else { continue }
            let pattern = LocalityPattern(key.raw)
            if let problem = pattern.problem { share.error("invalid-value", "`\(key.raw)` is no place: \(problem)") }
            to.append((pattern, number))
        }
        mapping.finish()
        let total = to.reduce(0) { $0 + $1.share }
        if !to.isEmpty, total != 100 {
            value.error("out-of-range", "the shares of `to` add up to \(total), not to 100")
        }
        LocalitySetting.checkOverlap(to.map(\.pattern), "to", value)
        guard let from else { return nil }
        if let problem = from.problem { written?.error("invalid-value", "`\(from.text)` is no place: \(problem)") }
        self.from = from
    }
}

extension LocalitySetting.Failover {
    fileprivate init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        let from = mapping.string("from") ?? ""
        let to = mapping.string("to") ?? ""
        mapping.finish()
        if from == to { value.error("conflicting-fields", "`from` and `to` are the same region") }
        for region in [from, to] where region.contains("/") || region.contains("*") {
            value.error("invalid-value", "`\(region)` is no region", hint: "regions only, without / and *")
        }
        self.from = from
        self.to = to
    }
}
