/// LEAST_REQUEST: the next endpoint of the rotation if it is about as busy as the least busy one of those that are
/// compared, which rotate by one with each choice; else that one. Equal endpoints take turns, a slow one gets less.
enum LeastRequest {
    /// Up to this many endpoints are all looked at; of more, this many in rotation.
    static let compared = 8

    /// How many requests more than the least busy endpoint the next one may have and still be chosen.
    /// Without it a few quick clients see whatever endpoint answered last chosen again: with three calls in
    /// flight over two equal endpoints the spread was 35:65.
    static let tolerance = 1

    /// - Returns: the place of the chosen endpoint in the list, which is not empty.
    @inline(__always) static func choose(among list: EndpointList, rotation: LineCell) -> Int {
        let length = list.rotationLength
        let start = Int(rotation.advance() % UInt64(length))
        let next = list.endpoint(at: start)
        if list.isWarming { return choose(next, start, amongWarming: list) }
        var best = next
        let own = list.inFlight[best].value
        var fewest = own
        var position = start
        for _ in 1..<max(min(compared, length), 1) where fewest > 0 {
            position = position + 1 == length ? 0 : position + 1
            let candidate = list.endpoint(at: position)
            let active = list.inFlight[candidate].value
            if active < fewest { (best, fewest) = (candidate, active) }
        }
        return own <= fewest + tolerance + fewest / 4 ? next : best
    }

    /// The same, where an endpoint that weighs less is as busy with fewer requests.
    @inline(never)
    private static func choose(_ next: Int, _ start: Int, amongWarming list: EndpointList) -> Int {
        let length = list.rotationLength
        func busyness(_ place: Int) -> Double {
            Double(list.inFlight[place].value + 1)
                / Double(place < list.weights.count ? max(list.weights[place], 1) : 1)
        }
        var (best, least, fewest) = (next, busyness(next), list.inFlight[next].value)
        var position = start
        for _ in 1..<max(min(compared, length), 1) {
            position = position + 1 == length ? 0 : position + 1
            let candidate = list.endpoint(at: position)
            fewest = min(fewest, list.inFlight[candidate].value)
            let busy = busyness(candidate)
            if busy < least { (best, least) = (candidate, busy) }
        }
        return list.inFlight[next].value <= fewest + tolerance + fewest / 4 ? next : best
    }
}
