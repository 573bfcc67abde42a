/// Where hashes lead among the endpoints of one list. Made beside the threads that serve, because a large one takes
/// seconds; immutable then. Any thread.
/// Source: envoyproxy/envoy source/extensions/load_balancing_policies/ring_hash/ring_hash_lb.cc; envoyproxy/envoy
/// source/extensions/load_balancing_policies/maglev/maglev_lb.cc.
///
/// Thread: any. Freed by: the last of its `ClusterState` and the lists that are found by it.
package final class HashTable: Sendable {
    /// What is needed to make one.
    package struct Job: Sendable {
        let table: HashPolicy.Table
        let endpoints: [EndpointState]
        let weights: [Int]    // one each, or none

        /// How many places the table will have.
        package var size: Int {
            switch table {
            case .ring(let minimum): Ring.units(minimum, weights: reducedWeights).reduce(0, +)
            case .maglev(let size): Maglev.size(size, endpoints: endpoints.count)
            }
        }

        fileprivate var reducedWeights: [Int] {
            weights.count == endpoints.count ? weights.map { max($0, 1) } : Array(repeating: 1, count: endpoints.count)
        }

        /// The same with the smallest table.
        package var smallest: Job { Job(table: .ring(minimum: 1), endpoints: endpoints, weights: weights) }
    }

    let job: Job
    private let points: [UInt64]    // of a ring, sorted; empty for a table
    private let choices: [UInt32]    // by point or place: indexes of `job.endpoints`

    /// - Parameter original: whose table it is, when `job` was made smaller.
    package init(_ job: Job, for original: Job? = nil) {
        self.job = original ?? job
        let names = job.endpoints.map(\.name)
        switch job.table {
        case .ring(let minimum): (points, choices) = Ring.build(names, Ring.units(minimum, weights: job.reducedWeights))
        case .maglev(let size):
            points = []
            choices = Maglev.build(names, weights: job.reducedWeights, size: Maglev.size(size, endpoints: names.count))
        }
    }

    /// How many places it has; 0 only without endpoints.
    package var size: Int { choices.count }

    /// Where a hash leads: a place, 0 to `size`.
    func position(of hash: UInt64) -> Int {
        guard !points.isEmpty else { return choices.isEmpty ? 0 : Int(hash % UInt64(choices.count)) }
        var (low, high) = (0, points.count)
        while low < high {
            let middle = (low + high) / 2
            if points[middle] < hash { low = middle + 1 } else { high = middle }
        }
        return low == points.count ? 0 : low
    }

    /// The endpoint at a place.
    func choice(at position: Int) -> Int { Int(choices[position]) }

    /// Whether it was made for exactly that.
    func isFor(_ other: Job) -> Bool {
        job.table == other.table && job.weights == other.weights && job.endpoints.count == other.endpoints.count
            && zip(job.endpoints, other.endpoints).allSatisfy { $0 === $1 }
    }
}

/// The points of endpoints on a ring.
private enum Ring {
    /// No ring has more points, as in Envoy.
    static let most = 8_388_608

    /// How many points each endpoint has: its weight times a number that changes seldom with the number of endpoints,
    /// so that a change of the others moves no point.
    static func units(_ minimum: Int, weights: [Int]) -> [Int] {
        let divisor = weights.reduce(0, common)
        let reducedWeights = weights.map { $0 / max(divisor, 1) }
        let sum = reducedWeights.reduce(0) { $0.addingReportingOverflow($1).overflow ? .max : $0 + $1 }
        guard sum > 0 else { return [] }
        let usual = minimum <= 1 ? 1 : weights.count <= 128 ? 512 : weights.count <= 4096 ? 64 : 8
        let target = min(max(minimum, weights.count * usual), most)
        guard sum < target else {
            // Weights far apart must not make the ring large: each endpoint keeps at least one point.
            let scale = Double(target) / Double(sum)
            return reducedWeights.map { max(Int(Double($0) * scale), 1) }
        }
        var unit = usual
        while unit > 1, unit * sum > max(target, pointsForWeights) { unit /= 2 }
        while unit * sum < minimum { unit *= 2 }
        return reducedWeights.map { $0 * unit }
    }

    /// Points that a ring may have for its endpoints' weights alone.
    private static let pointsForWeights = 1 << 18

    private static func common(_ left: Int, _ right: Int) -> Int {
        var (a, b) = (left, right)
        while b != 0 { (a, b) = (b, a % b) }
        return a
    }

    static func build(_ names: [String], _ units: [Int]) -> (points: [UInt64], choices: [UInt32]) {
        var all: [(point: UInt64, choice: UInt32)] = []
        all.reserveCapacity(units.reduce(0, +))
        for (index, name) in names.enumerated() {
            for copy in 0..<units[index] {
                all.append((StableHash.hash("\(name)_\(copy)"), UInt32(truncatingIfNeeded: index)))
            }
        }
        // Two points in one place are a matter of chance; the name decides then, not the order of the list.
        all.sort { $0.point != $1.point ? $0.point < $1.point : names[Int($0.choice)] < names[Int($1.choice)] }
        return (all.map(\.point), all.map(\.choice))
    }
}

/// A table in which endpoints take turns to have the next free place of an order of their own.
private enum Maglev {
    /// How many times the place of the lightest endpoint the heaviest one has at most.
    private static let ratio = 128

    /// The size in use: that which was asked for, unless there are too many endpoints.
    static func size(_ wanted: Int, endpoints: Int) -> Int {
        endpoints == 0
            ? 0 : endpoints <= wanted ? wanted : [65_537, 655_373].first { $0 >= 2 * endpoints } ?? 5_000_011
    }

    static func build(_ names: [String], weights: [Int], size: Int) -> [UInt32] {
        guard size > 1 else { return Array(repeating: 0, count: size) }
        // Weights further apart would cost a round for each place of the heaviest one.
        let heaviest = weights.max() ?? 1
        let weights = weights.map {
            heaviest <= ratio ? $0 : max(Int(Double($0) / Double(heaviest) * Double(ratio)), 1)
        }
        let largest = min(heaviest, ratio)
        // The order of the list must not matter.
        let order = names.indices.sorted { names[$0] < names[$1] }
        var table = [UInt32](repeating: .max, count: size)
        var next = order.map { StableHash.hash(names[$0]) % UInt64(size) }
        let skips = order.map { StableHash.hash(names[$0] + "_skip") % UInt64(size - 1) + 1 }
        var targets = [Double](repeating: 0, count: order.count)
        var (filled, round) = (0, 1.0)
        while filled < size {
            for (place, index) in order.enumerated() where filled < size {
                let weight = Double(weights[index])
                guard round * weight >= targets[place] else { continue }
                targets[place] += Double(largest)
                while table[Int(next[place])] != .max { next[place] = (next[place] + skips[place]) % UInt64(size) }
                table[Int(next[place])] = UInt32(truncatingIfNeeded: index)
                filled += 1
            }
            round += 1
        }
        return table
    }
}
