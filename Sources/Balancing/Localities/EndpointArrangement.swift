/// How requests are divided among the endpoints of a cluster by the ranks that these have. It is decided when a list is
/// made, never for a request.
/// Source: docs/istio.md, Locality.
package enum EndpointArrangement: Sendable, Hashable {
    /// Rank 0 is preferred. A rank gets what those before it cannot take, as with a priority of Envoy.
    case ranked
    /// The endpoints of rank n get the n-th share of the requests. The shares are 1 to 100.
    case shares([Int])

    /// A rank is complete as long as this much of it is healthy: 1 / 1.4.
    /// Source: envoyproxy/envoy api/envoy/config/endpoint/v3/endpoint.proto (overprovisioning_factor).
    private static let overprovisioning = 140

    /// How many endpoints one rank has.
    struct Census: Hashable {
        /// Whether well or not.
        var total = 0
        var healthy = 0

        /// Percent of what the rank could take if all were healthy, at most 100.
        fileprivate var percent: Int {
            guard total > 0 else { return 0 }
            let (product, overflow) = healthy.multipliedReportingOverflow(by: EndpointArrangement.overprovisioning)
            return overflow ? 100 : min(product / total, 100)
        }
    }

    /// Whether the ranks together are healthy enough to take all requests: there is no panic then.
    /// Source: envoyproxy/envoy source/common/upstream/load_balancer_impl.cc (calculateNormalizedTotalAvailability).
    static func isAvailable(_ ranks: [Census]) -> Bool {
        var sum = 0
        for rank in ranks {
            sum += rank.percent
            if sum >= 100 { return true }
        }
        return false
    }

    /// What each rank gets of the requests, as parts of their sum; 0 for a rank that gets nothing.
    func parts(_ ranks: [Census]) -> [Int] {
        switch self {
        case .ranked: Self.loads(of: ranks)
        case .shares(let shares): Self.parts(of: shares, ranks)
        }
    }

    /// Source: envoyproxy/envoy source/common/upstream/upstream_impl.cc (effectiveLocalityWeight).
    private static func parts(of shares: [Int], _ ranks: [Census]) -> [Int] {
        // Nobody is healthy, and there is a panic: all are used.
        let isHopeless = ranks.allSatisfy { $0.healthy == 0 }
        return ranks.enumerated().map { rank, census in
            guard rank < shares.count, census.total > 0, isHopeless || census.healthy > 0 else { return 0 }
            return max(shares[rank] * (isHopeless ? 100 : census.percent), 1)
        }
    }

    /// Source: envoyproxy/envoy source/common/upstream/load_balancer_impl.cc (recalculatePerPriorityState).
    private static func loads(of ranks: [Census]) -> [Int] {
        let percents = ranks.map(\.percent)
        let sum = min(percents.reduce(0) { min($0 + $1, 100) }, 100)
        // Nobody is healthy, and there is a panic: each rank has as much as it has endpoints.
        guard sum > 0 else { return ranks.map(\.total) }
        var percentLeft = 100
        var loads = percents.map { percent in
            let load = min(percentLeft, percent * 100 / sum)
            percentLeft -= load
            return load
        }
        // What division has left over is the first rank's that takes anything.
        if let first = loads.firstIndex(where: { $0 > 0 }) { loads[first] += percentLeft }
        return loads
    }
}
