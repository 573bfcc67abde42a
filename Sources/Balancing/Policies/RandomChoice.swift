/// RANDOM: each endpoint with the same probability, whatever its weight, as Envoy's.
enum RandomChoice {
    @inline(__always) static func choose(among list: EndpointList, random: UInt64) -> Int {
        Int(random % UInt64(list.count))
    }
}
