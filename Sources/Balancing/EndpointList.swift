/// The endpoints of a cluster at one moment, with what choosing among them needs. Immutable.
///
/// Thread: any. Freed by: the last `ClusterState` or worker's `Cluster` that chooses by it.
package final class EndpointList: Sendable {
    /// The endpoints to choose from, each once.
    package let endpoints: [EndpointState]
    /// As they were given.
    let weights: [Int]
    /// Whether `weights` are of endpoints that are warming up: then they count in LEAST_REQUEST, too.
    let isWarming: Bool
    /// Where each is in an `EndpointArrangement`, 0 or more; empty where there is none.
    let ranks: [Int]
    /// What is watched of each; empty if nothing is.
    let monitors: [OutlierMonitor]
    /// Who watches them.
    let detector: OutlierDetector?
    /// How they are found by hash; nil where they are not, or not yet.
    let hashing: Hashing?
    /// The parts that get a share of the requests each; nil: all are alike.
    let groups: EndpointGroups?
    /// The endpoints of ranks that get no requests now; nil where endpoints have no ranks.
    let spare: EndpointList?
    /// The requests in flight of each, so that choosing touches nothing else of an endpoint.
    let inFlight: [LineCell]
    /// The endpoints repeated by their weight, interleaved; empty when all weigh the same.
    private let places: [Int]

    /// - Parameters:
    ///   - weights: one per endpoint, 0 counts as 1; empty means all equal.
    ///   - ranks: one per endpoint, 0 or more, for an `EndpointArrangement`; empty means none.
    package convenience init(_ endpoints: [EndpointState], weights: [Int] = [], ranks: [Int] = []) {
        self.init(endpoints, weights: weights, ranks: ranks, monitors: [], detector: nil)
    }

    /// - Parameter monitors: one per endpoint, or none.
    init(
        _ endpoints: [EndpointState], weights: [Int], ranks: [Int], monitors: [OutlierMonitor],
        detector: OutlierDetector?, hashing: Hashing? = nil, groups: EndpointGroups? = nil, isWarming: Bool = false,
        spare: EndpointList? = nil
    ) {
        self.spare = spare
        self.endpoints = endpoints
        self.weights = weights
        self.ranks = ranks
        self.groups = groups
        self.isWarming = isWarming
        self.monitors = monitors
        self.detector = detector
        self.hashing = hashing
        inFlight = endpoints.map(\.inFlight)
        places = Self.interleave(
            weights: weights, count: endpoints.count, placesEach: isWarming ? Self.warmingPlaces : 1)
    }

    /// Some of its endpoints, with what is known of each.
    func picking(_ places: [Int], groups: EndpointGroups? = nil, spare: EndpointList? = nil) -> EndpointList {
        func some<Item>(_ items: [Item]) -> [Item] { items.count == count ? places.map { items[$0] } : [] }
        return EndpointList(
            some(endpoints), weights: some(weights), ranks: some(ranks), monitors: some(monitors), detector: detector,
            groups: groups, isWarming: isWarming, spare: spare)
    }

    /// The same endpoints, which weigh something else while some are warming up.
    func warming(_ weights: [Int]) -> EndpointList {
        EndpointList(
            endpoints, weights: weights, ranks: ranks, monitors: monitors, detector: detector, isWarming: true)
    }

    @inline(__always) var count: Int { inFlight.count }

    /// How many places the rotation has; 0 only without endpoints.
    @inline(__always) var rotationLength: Int { places.isEmpty ? inFlight.count : places.count }

    /// The endpoint at a place of the rotation.
    @inline(__always) func endpoint(at place: Int) -> Int { places.isEmpty ? place : places[place] }

    /// With so many places each, an endpoint that warms up has a small share of them, however many there are.
    private static let warmingPlaces = 16

    /// Smooth interleaving: an endpoint of reduced weight n has its places in the middle of each n-th part of the
    /// rotation, and all places are sorted. Weights are scaled down so that a rotation stays short; each
    /// endpoint keeps at least one place.
    /// - Parameter placesEach: how many an endpoint may have on the average; a rotation may have 1000 in any case.
    static func interleave(weights: [Int], count: Int, placesEach: Int = 1) -> [Int] {
        guard weights.count == count, Set(weights.map { max($0, 1) }).count > 1 else { return [] }
        let limit = max(count * placesEach, 1000)
        let sum = weights.reduce(0) { $0.addingReportingOverflow(max($1, 1)).overflow ? .max : $0 + max($1, 1) }
        let divisor = Swift.max(common(weights), sum / limit + (sum > limit ? 1 : 0))
        let reduced = weights.map { max(max($0, 1) / divisor, 1) }
        var places: [(odd: Int, index: Int)] = []    // the place is odd / (2 * reduced weight) of the rotation
        places.reserveCapacity(reduced.reduce(0, +))
        for index in 0..<count {
            for part in 0..<reduced[index] { places.append((2 * part + 1, index)) }
        }
        // Reduced weights are at most `limit`, so that no product overflows.
        places.sort { left, right in
            let (one, other) = (left.odd * reduced[right.index], right.odd * reduced[left.index])
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
