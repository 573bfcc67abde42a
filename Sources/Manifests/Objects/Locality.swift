/// Where an endpoint or this gateway is. A part is empty if it is not known.
/// Source: istio/api networking/v1alpha3/workload_entry.proto (locality).
package struct Locality: Sendable, Hashable {
    /// The region, such as `us-west1`.
    package var region = ""
    package var zone = ""
    /// The part of the zone.
    package var subzone = ""

    /// A place of which nothing is known.
    package init() {}

    package init(region: String, zone: String, subzone: String = "") {
        self.region = region
        self.zone = zone
        self.subzone = subzone
    }

    /// - Parameter text: `region/zone/subzone`, of which the last parts may be missing.
    package init(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        region = parts.first ?? ""
        if parts.count > 1 { zone = parts[1] }
        if parts.count > 2 { subzone = parts[2] }
    }

    /// - Parameter label: the value of the label `istio-locality`, which has dots, because a label has no slash.
    package init(label: String) {
        self.init(label.contains("/") ? label : label.replacing(".", with: "/", maxReplacements: 2))
    }

    /// Whether nothing is known.
    package var isUnknown: Bool { region.isEmpty && zone.isEmpty && subzone.isEmpty }

    /// See `String.detached`.
    package var detached: Locality {
        Locality(region: region.detached, zone: zone.detached, subzone: subzone.detached)
    }

    /// The label of a pod or workload that says its locality.
    package static let label = "istio-locality"

    /// The labels that Kubernetes and Istio have for the parts of a locality.
    package enum Topology {
        package static let region = "topology.kubernetes.io/region"
        package static let zone = "topology.kubernetes.io/zone"
        package static let subzone = "topology.istio.io/subzone"
        package static let all = [region, zone, subzone]
    }

    /// What is known of the place, as labels.
    package var labels: [String: String] {
        var labels: [String: String] = [:]
        if !region.isEmpty { labels[Topology.region] = region }
        if !zone.isEmpty { labels[Topology.zone] = zone }
        if !subzone.isEmpty { labels[Topology.subzone] = subzone }
        return labels
    }

    /// The place that labels tell of; nil if they tell of none.
    package init?(labels: [String: String]) {
        if let written = labels[Self.label], !written.isEmpty {
            self.init(label: written)
        } else {
            self.init(
                region: labels[Topology.region] ?? "", zone: labels[Topology.zone] ?? "",
                subzone: labels[Topology.subzone] ?? "")
        }
        if isUnknown { return nil }
    }
}

extension Locality: CustomStringConvertible {
    package var description: String {
        var parts = [region, zone, subzone]
        while parts.last?.isEmpty == true { parts.removeLast() }
        return parts.joined(separator: "/")
    }
}

/// A place, or all places of a region or a zone: `region/zone/*`, `region`, `*`.
/// Source: istio/istio pilot/pkg/networking/util/util.go (LocalityMatch).
package struct LocalityPattern: Sendable, Hashable {
    /// As it is written.
    package let text: String
    private let parts: Locality

    package init(_ text: String) {
        self.text = text
        parts = Locality(text)
    }

    /// Whether the place is one of those that are meant: `*` is any part, and so is a zone or subzone left out.
    package func matches(_ locality: Locality) -> Bool {
        (parts.region == "*" || parts.region == locality.region)
            && (parts.zone.isEmpty || parts.zone == "*" || parts.zone == locality.zone)
            && (parts.subzone.isEmpty || parts.subzone == "*" || parts.subzone == locality.subzone)
    }

    /// What is wrong with it; nil if nothing is.
    package var problem: String? {
        let written = text.split(separator: "/", omittingEmptySubsequences: false)
        if written.count > 3 || written.contains("") { return "it has no region, an empty part, or more than three" }
        guard let star = text.firstIndex(of: "*") else { return nil }
        let isLast = text.index(after: star) == text.endIndex
        return isLast && written.last == "*" ? nil : "a `*` is the whole last part"
    }

    /// Whether there are places that both are patterns of.
    package func overlaps(_ other: LocalityPattern) -> Bool {
        func meet(_ one: String, _ two: String) -> Bool {
            one == two || one.isEmpty || two.isEmpty || one == "*" || two == "*"
        }
        return meet(parts.region, other.parts.region) && meet(parts.zone, other.parts.zone)
            && meet(parts.subzone, other.parts.subzone)
    }
}

/// `localityLbSetting` of a policy.
/// Source: istio/api networking/v1alpha3/destination_rule.proto (LocalityLoadBalancerSetting).
package struct LocalitySetting: Sendable {
    package let place: SourcePlace
    package let path: String
    /// nil if it is not written; it counts as true then.
    package var isEnabled: Bool?
    /// Whether it is a `zoneAwareLbSetting`: regions count, and zones do not.
    package var isZoneAware = false
    package var distribute: [Distribution] = []
    package var failover: [Failover] = []
    /// `key` or `key=value`, in the order of their weight.
    package var failoverPriority: [String] = []

    /// An entry of `distribute`.
    package struct Distribution: Sendable {
        package var from: LocalityPattern
        /// In the order in which they are written; the shares are percentages.
        package var to: [(pattern: LocalityPattern, share: Int)] = []
    }

    /// An entry of `failover`.
    package struct Failover: Sendable {
        package var from: String
        package var to: String
    }
}
