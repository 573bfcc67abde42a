/// How a list of endpoints is found by hash. Immutable.
///
/// Thread: any. Freed by: its `EndpointList`.
final class Hashing: Sendable {
    private let table: HashTable
    /// The place in the list of each endpoint of the table, -1 for one that has left; empty when the two are the same.
    private let places: [Int32]

    /// - Parameter endpoints: of the list, which may be newer than the table.
    init(_ table: HashTable, _ endpoints: [EndpointState]) {
        self.table = table
        let known = table.job.endpoints
        guard known.count != endpoints.count || zip(known, endpoints).contains(where: { $0 !== $1 }) else {
            places = []
            return
        }
        var found: [ObjectIdentifier: Int32] = [:]
        found.reserveCapacity(endpoints.count)
        for (place, endpoint) in endpoints.enumerated() {
            found[ObjectIdentifier(endpoint)] = Int32(truncatingIfNeeded: place)
        }
        places = known.map { found[ObjectIdentifier($0)] ?? -1 }
    }

    /// Places of the table.
    var size: Int { table.size }

    /// Where the search for an endpoint begins for a request with this hash; `place(at:)` says which one is there.
    func position(of hash: UInt64) -> Int { table.position(of: hash) }

    /// The place in the list to which a place of the table leads; nil if that endpoint has left.
    func place(at position: Int) -> Int? {
        let choice = table.choice(at: position)
        guard !places.isEmpty else { return choice }
        return places[choice] < 0 ? nil : Int(places[choice])
    }
}

extension EndpointList {
    /// What a table for this list is made of.
    func job(_ table: HashPolicy.Table) -> HashTable.Job {
        HashTable.Job(table: table, endpoints: endpoints, weights: groups?.weights ?? weights)
    }

    /// The same list, found by that table.
    func hashed(by table: HashTable) -> EndpointList {
        EndpointList(
            endpoints, weights: weights, ranks: ranks, monitors: monitors, detector: detector,
            hashing: Hashing(table, endpoints), groups: groups, isWarming: isWarming, spare: spare)
    }
}
