/// RANDOM: each endpoint with the same probability, whatever its weight, as Envoy's.
enum RandomChoice {
    /// - Returns: the place of the chosen endpoint in the list, which is not empty.
    @inline(__always) static func choose(among list: EndpointList, random: UInt64) -> Int {
        Int(random % UInt64(list.count))
    }
}
