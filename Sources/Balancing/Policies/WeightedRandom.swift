/// WEIGHTED_RANDOM: each endpoint with a probability in proportion to its weight, without a turn to share.
enum WeightedRandom {
    @inline(__always) static func choose(among list: EndpointList, random: UInt64) -> Int {
        list.endpoint(turn: Int(random % UInt64(list.turns)))
    }
}
