/// The endpoints of a cluster at one moment, with what choosing among them needs. Immutable; any thread.
package final class EndpointList: Sendable {
    /// The endpoints to choose from, each once.
    package let endpoints: [EndpointState]
    /// As they were given.
    let weights: [Int]
    /// What is watched of each; empty if nothing is.
    let monitors: [OutlierMonitor]
    /// Who watches them.
    let detector: OutlierDetector?
    /// How they are found by hash; nil where they are not, or not yet.
    let hashing: Hashing?
    /// The requests in flight of each, so that choosing touches nothing else of an endpoint.
    let loads: [LineCell]
    /// The endpoints repeated by their weight, interleaved; empty when all weigh the same.
    private let places: [Int]

    /// - Parameter weights: one per endpoint, 0 counts as 1; empty means all equal.
    package convenience init(_ endpoints: [EndpointState], weights: [Int] = []) {
        self.init(endpoints, weights: weights, monitors: [], detector: nil)
    }

    /// - Parameter monitors: one per endpoint, or none.
    init(
        _ endpoints: [EndpointState], weights: [Int], monitors: [OutlierMonitor], detector: OutlierDetector?,
        hashing: Hashing? = nil
    ) {
        self.endpoints = endpoints
        self.weights = weights
        self.monitors = monitors
        self.detector = detector
        self.hashing = hashing
        loads = endpoints.map(\.load)
        places = Self.interleave(weights: weights, count: endpoints.count)
    }

    @inline(__always) var count: Int { loads.count }

    /// How many places the rotation has; 0 only without endpoints.
    @inline(__always) var turns: Int { places.isEmpty ? loads.count : places.count }

    /// The endpoint whose place it is.
    @inline(__always) func endpoint(turn: Int) -> Int { places.isEmpty ? turn : places[turn] }

    /// Smooth interleaving: an endpoint of share n has its places in the middle of each n-th part of the
    /// rotation, and all places are sorted. Weights are scaled down so that a rotation stays short; each
    /// endpoint keeps at least one place.
    private static func interleave(weights: [Int], count: Int) -> [Int] {
        guard weights.count == count, Set(weights.map { max($0, 1) }).count > 1 else { return [] }
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
