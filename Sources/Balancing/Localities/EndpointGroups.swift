/// Parts of a list that get a share of the requests each. Immutable but for the rotations, which all workers share; any
/// thread.
///
/// Thread: any. Freed by: its `EndpointList`.
final class EndpointGroups: Sendable {
    /// A part of a list, as a list of its own.
    ///
    /// Thread: any. Freed by: its `EndpointGroups`.
    final class Group: Sendable {
        let list: EndpointList
        /// The place of its first endpoint in the whole list.
        let first: Int
        private let line: OwnLine

        fileprivate init(_ list: EndpointList, first: Int) {
            self.list = list
            self.first = first
            line = OwnLine(first)
        }

        /// Which endpoint of the group is next.
        var rotation: LineCell { line.cell }
    }

    private let groups: [Group]
    private let order: [Int]    // the group at each place of the rotation
    /// Of each endpoint of the whole list, for a choice that knows no groups.
    let weights: [Int]

    /// - Parameter parts: what each list gets of the requests, 1 or more. There are two lists or more, and none is
    ///   empty.
    init(_ lists: [EndpointList], parts: [Int]) {
        var first = 0
        var groups: [Group] = []
        for list in lists {
            groups.append(Group(list, first: first))
            first += list.count
        }
        self.groups = groups
        let order = EndpointList.interleave(weights: parts, count: lists.count)
        self.order = order.isEmpty ? Array(lists.indices) : order
        weights = zip(lists, parts).flatMap { list, part in list.weights(ofPart: part) }
    }

    /// The place in the whole list of the endpoint for one request.
    /// - Parameters:
    ///   - rotation: the cluster's.
    ///   - random: a fresh random number.
    func choose(_ policy: BalancingPolicy, rotation: LineCell, random: UInt64) -> Int {
        let group = groups[order[Int(rotation.advance() % UInt64(order.count))]]
        guard group.list.count > 1 else { return group.first }
        return group.first + policy.choose(among: group.list, rotation: group.rotation, random: random)
    }
}

extension EndpointList {
    /// The list that is chosen from when requests are divided like this: `self`, or a part of it, or groups.
    /// - Parameter all: the endpoints of the cluster, with those that are not in `self` because they are ejected.
    func arranged(by arrangement: EndpointArrangement, of all: EndpointList) -> EndpointList {
        guard ranks.count == count, count > 0, all.ranks.count == all.count else { return self }
        let parts = arrangement.parts(all.census)
        var members: [[Int]] = Array(repeating: [], count: parts.count)
        for (place, rank) in ranks.enumerated() where parts[rank] > 0 { members[rank].append(place) }
        let used = members.indices.filter { !members[$0].isEmpty }
        let spare = arrangement == .ranked ? picking(ranks.indices.filter { parts[ranks[$0]] == 0 }) : nil
        guard used.count > 1 else {
            return used.first.map { picking(members[$0], spare: spare) } ?? picking([], spare: spare)
        }
        let lists = used.map { picking(members[$0]) }
        return picking(
            used.flatMap { members[$0] }, groups: EndpointGroups(lists, parts: used.map { parts[$0] }), spare: spare)
    }

    /// How many endpoints each rank has.
    var census: [EndpointArrangement.Census] {
        var census = Array(repeating: EndpointArrangement.Census(), count: (ranks.max() ?? -1) + 1)
        for (place, rank) in ranks.enumerated() {
            census[rank].total += 1
            if monitors.isEmpty || !monitors[place].isEjected { census[rank].healthy += 1 }
        }
        return census
    }

    /// What each endpoint gets of a part of the requests.
    fileprivate func weights(ofPart part: Int) -> [Int] {
        let own = weights.count == count ? weights.map { Double(max($0, 1)) } : Array(repeating: 1, count: count)
        let sum = own.reduce(0, +)
        return own.map { max(Int($0 / sum * Double(part) * 1000), 1) }
    }
}
