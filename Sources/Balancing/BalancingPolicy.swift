/// How the next endpoint is chosen: the one list of policies. A new one has a case here with Istio's name for
/// it, a file in `Policies` with the choice, a test and its line in docs/configuration.md.
/// Source: Istio `DestinationRule.trafficPolicy.loadBalancer.simple`.
package enum BalancingPolicy: String, Sendable, Hashable, CaseIterable {
    case leastRequest = "LEAST_REQUEST"
    case roundRobin = "ROUND_ROBIN"
    case random = "RANDOM"

    /// The place in `list` of the endpoint for one request.
    /// - Parameters:
    ///   - list: two endpoints or more.
    ///   - rotation: the cluster's turn, which all workers share.
    ///   - random: a fresh random number.
    @inline(__always) func choose(among list: EndpointList, rotation: LineCell, random: UInt64) -> Int {
        switch self {
        case .leastRequest: LeastRequest.choose(among: list, rotation: rotation)
        case .roundRobin: RoundRobin.choose(among: list, rotation: rotation)
        case .random: RandomChoice.choose(among: list, random: random)
        }
    }
}
