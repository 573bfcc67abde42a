/// ROUND_ROBIN: the endpoints take turns, each as often as its weight says.
enum RoundRobin {
    @inline(__always) static func choose(among list: EndpointList, rotation: LineCell) -> Int {
        list.endpoint(turn: Int(rotation.advance() % UInt64(list.turns)))
    }
}
