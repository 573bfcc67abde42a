internal import Synchronization

/// How the next endpoint is chosen. Source: Istio `DestinationRule.trafficPolicy.loadBalancer.simple`.
package enum BalancingPolicy: String, Sendable, Hashable {
    case leastRequest = "LEAST_REQUEST"
    case roundRobin = "ROUND_ROBIN"
    case random = "RANDOM"
}

/// The endpoints that one destination (service, port, subset) may use, and the choice among them.
/// Immutable but for a rotation that all workers share; safe on every thread.
package final class Cluster: Sendable {
    package let name: String
    package let policy: BalancingPolicy
    package let endpoints: [Endpoint]
    /// The endpoints repeated by their weight, interleaved; what rotation walks over.
    private let rotation: [Int]
    private let turn: Atomic<UInt64>

    /// - Parameter weights: one per endpoint, 0 counts as 1; empty means all equal.
    package init(name: String, policy: BalancingPolicy, endpoints: [Endpoint], weights: [Int] = [], start: UInt64 = 0) {
        self.name = name
        self.policy = policy
        self.endpoints = endpoints
        self.rotation = Self.interleave(weights: weights, count: endpoints.count)
        self.turn = Atomic(start)
    }

    /// Up to this many endpoints are all looked at by LEAST_REQUEST; of more, this many in rotation.
    package static let leastRequestWindow = 8

    /// Chooses an endpoint for one request; nil when there is none.
    /// - Parameters:
    ///   - random: a fresh random number; only RANDOM looks at it.
    ///   - tried: endpoints that failed this request already; avoided while another one is left.
    package func next(random: UInt64, excluding tried: [Int] = []) -> Endpoint? {
        guard endpoints.count > 1 else { return endpoints.first }
        if tried.isEmpty { return endpoints[choose(random: random)] }
        let first = choose(random: random)
        for step in 0..<endpoints.count {
            let endpoint = endpoints[(first + step) % endpoints.count]
            if !tried.contains(endpoint.number) { return endpoint }
        }
        return endpoints[first]
    }

    private func choose(random: UInt64) -> Int {
        switch policy {
        case .random: Int(random % UInt64(endpoints.count))
        case .roundRobin: rotation[Int(advance() % UInt64(rotation.count))]
        case .leastRequest: leastRequest()
        }
    }

    /// How many requests more than the least busy endpoint the one in turn may have and still be chosen.
    /// Without it a few quick clients see whatever endpoint answered last chosen again: with three calls in
    /// flight over two equal endpoints the spread was 35:65.
    static let tolerance = 1

    /// The endpoint in turn if it is about as busy as the least busy one of a window that rotates by one
    /// with each choice; else that one. Equal endpoints take turns, a slow one gets less.
    private func leastRequest() -> Int {
        let start = Int(advance() % UInt64(rotation.count))
        let window = min(Self.leastRequestWindow, rotation.count)
        var best = rotation[start]
        let own = endpoints[best].active.load(ordering: .relaxed)
        var fewest = own
        var position = start
        for _ in 1..<max(window, 1) where fewest > 0 {
            position = position + 1 == rotation.count ? 0 : position + 1
            let candidate = rotation[position]
            let active = endpoints[candidate].active.load(ordering: .relaxed)
            if active < fewest { (best, fewest) = (candidate, active) }
        }
        return own <= fewest + Self.tolerance + fewest / 4 ? rotation[start] : best
    }

    private func advance() -> UInt64 { turn.wrappingAdd(1, ordering: .relaxed).oldValue }

    /// Smooth interleaving: an endpoint of share n has its places in the middle of each n-th part of the
    /// rotation, and all places are sorted. Weights are scaled down so that a rotation stays short; each
    /// endpoint keeps at least one place.
    private static func interleave(weights: [Int], count: Int) -> [Int] {
        guard weights.count == count, Set(weights.map { max($0, 1) }).count > 1 else { return Array(0..<count) }
        let limit = max(count, 1000)
        let sum = weights.reduce(0) { $0.addingReportingOverflow(max($1, 1)).overflow ? .max : $0 + max($1, 1) }
        let divisor = Swift.max(common(weights), sum / limit + (sum > limit ? 1 : 0))
        let shares = weights.map { max(max($0, 1) / divisor, 1) }
        var places: [(odd: Int, index: Int)] = []    // the place is odd / (2 * share) of the rotation
        places.reserveCapacity(shares.reduce(0, +))
        for index in 0..<count {
            for part in 0..<shares[index] { places.append((2 * part + 1, index)) }
        }
        // Shares are at most `limit`, so that no product overflows.
        places.sort { left, right in
            let (one, other) = (left.odd * shares[right.index], right.odd * shares[left.index])
            return one != other ? one < other : left.index < right.index
        }
        return places.map(\.index)
    }

    private static func common(_ weights: [Int]) -> Int {
        weights.reduce(0) { left, right in
            var (a, b) = (left, max(right, 1))
            while b != 0 { (a, b) = (b, a % b) }
            return a
        }
    }
}
