/// LEAST_REQUEST: the endpoint in turn if it is about as busy as the least busy one of a window that rotates
/// by one with each choice; else that one. Equal endpoints take turns, a slow one gets less.
enum LeastRequest {
    /// Up to this many endpoints are all looked at; of more, this many in rotation.
    static let window = 8

    /// How many requests more than the least busy endpoint the one in turn may have and still be chosen.
    /// Without it a few quick clients see whatever endpoint answered last chosen again: with three calls in
    /// flight over two equal endpoints the spread was 35:65.
    static let tolerance = 1

    /// - Returns: the place of the chosen endpoint in the list, which is not empty.
    @inline(__always) static func choose(among list: EndpointList, rotation: LineCell) -> Int {
        let turns = list.turns
        let start = Int(rotation.advance() % UInt64(turns))
        let inTurn = list.endpoint(turn: start)
        var best = inTurn
        let own = list.loads[best].value
        var fewest = own
        var position = start
        for _ in 1..<max(min(window, turns), 1) where fewest > 0 {
            position = position + 1 == turns ? 0 : position + 1
            let candidate = list.endpoint(turn: position)
            let active = list.loads[candidate].value
            if active < fewest { (best, fewest) = (candidate, active) }
        }
        return own <= fewest + tolerance + fewest / 4 ? inTurn : best
    }
}
