/// ROUND_ROBIN: the endpoints take turns, each as often as its weight says.
enum RoundRobin {
    /// - Returns: the place of the chosen endpoint in the list, which is not empty.
    @inline(__always) static func choose(among list: EndpointList, rotation: LineCell) -> Int {
        list.endpoint(at: Int(rotation.advance() % UInt64(list.rotationLength)))
    }
}
