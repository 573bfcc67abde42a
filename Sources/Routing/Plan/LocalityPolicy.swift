package import Balancing
package import Manifests

/// Which endpoints of a cluster are preferred by where they are, or by their labels. What it means for this gateway is
/// worked out when the plan is made. Source: docs/istio.md, Locality.
package enum LocalityPolicy: Sendable, Hashable {
    /// Each place gets its share; endpoints elsewhere get nothing.
    case distribute([Share])
    /// Endpoints that are nearer are preferred.
    case failover(Failover)

    /// Places and their share.
    package struct Share: Sendable, Hashable {
        /// Where its endpoints are.
        package let places: LocalityPattern
        /// 1 to 100.
        package let percent: Int
    }

    /// What is nearer.
    package struct Failover: Sendable, Hashable {
        /// Where this gateway is.
        package let own: Locality
        /// What an endpoint's labels are compared with, the weightiest first.
        package let preferences: [Preference]
        /// The region that the gateway's own fails over to; nil: there is no such.
        package let next: String?
        /// Whether places count: they do where no label does, and where regions are written.
        package let countsPlaces: Bool
        package var countsOnlyRegions = false
    }

    /// A label, and the value that is preferred.
    package struct Preference: Sendable, Hashable {
        package let key: String
        /// The gateway's own value, or the one that is written; empty for a label that is not there.
        package let value: String
    }

    /// How many ranks places make: the same subzone, zone, region, the next region, others.
    private static let placeRanks = 5

    /// The rank of an endpoint for `arrangement`; nil: it gets no requests.
    package func rank(of locality: Locality?, labels: [String: String]) -> Int? {
        switch self {
        case .distribute(let shares):
            let known = locality ?? Locality()
            return shares.firstIndex { $0.places.matches(known) }
        case .failover(let failover):
            let byLabels = failover.rank(labels: labels)
            guard failover.countsPlaces else { return byLabels }
            return byLabels * Self.placeRanks + failover.rank(of: locality ?? Locality())
        }
    }

    /// Names of endpoints with their rank; without those that get no requests.
    func ranked(_ names: [PlannedName]) -> [PlannedName] {
        names.compactMap { name in
            var ranked = name
            guard let rank = rank(of: name.traits?.locality, labels: name.traits?.labels ?? [:]) else { return nil }
            ranked.rank = rank
            return ranked
        }
    }

    /// How the ranks divide the requests.
    package var arrangement: EndpointArrangement {
        switch self {
        case .distribute(let shares): .shares(shares.map(\.percent))
        case .failover: .ranked
        }
    }
}

extension LocalityPolicy.Failover {
    /// Source: istio/istio pilot/pkg/networking/core/loadbalancer/loadbalancer.go (applyFailoverPriorityPerLocality).
    fileprivate func rank(labels: [String: String]) -> Int {
        let first = preferences.firstIndex { labels[$0.key] ?? "" != $0.value }
        return first.map { preferences.count - $0 } ?? 0
    }

    /// Source: istio/istio pilot/pkg/networking/core/loadbalancer/loadbalancer.go (applyLocalityFailover).
    fileprivate func rank(of written: Locality) -> Int {
        var locality = written
        // Zones have names of their own, so that one that is this gateway's is in its region.
        if locality.region.isEmpty, !locality.zone.isEmpty, locality.zone == own.zone { locality.region = own.region }
        guard locality.region == own.region else { return next == nil || next == locality.region ? 3 : 4 }
        guard !countsOnlyRegions, locality.zone == own.zone else { return 2 }
        return locality.subzone == own.subzone ? 0 : 1
    }
}
