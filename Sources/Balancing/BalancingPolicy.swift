/// How the next endpoint is chosen: the one list of policies. A new one has a case here with Istio's name for
/// it, a file in `Policies` with the choice, a test and its line in docs/configuration.md.
/// Source: Istio `DestinationRule.trafficPolicy.loadBalancer.simple`.
package enum BalancingPolicy: String, Sendable, Hashable, CaseIterable {
    case leastRequest = "LEAST_REQUEST"
    case roundRobin = "ROUND_ROBIN"
    case random = "RANDOM"

    /// What is used where nothing is written.
    package static let usual = BalancingPolicy.leastRequest

    /// The place in `list` of the endpoint for one request.
    /// - Parameters:
    ///   - list: two endpoints or more.
    ///   - rotation: the cluster's, which all workers share.
    ///   - random: a fresh random number.
    @inline(__always) func choose(among list: EndpointList, rotation: LineCell, random: UInt64) -> Int {
        switch self {
        case .leastRequest: LeastRequest.choose(among: list, rotation: rotation)
        case .roundRobin: RoundRobin.choose(among: list, rotation: rotation)
        case .random: RandomChoice.choose(among: list, random: random)
        }
    }
}

/// A value of Istio's field `simple`: the name of a policy, or one that stands for a policy of another name.
package struct BalancingName: RawRepresentable, CaseIterable, Hashable, Sendable {
    /// The name as it is written in a DestinationRule.
    package let rawValue: String
    /// The policy that the name stands for.
    package let policy: BalancingPolicy
    /// Whether the name is current, deprecated, or has another meaning here.
    package let validity: Validity

    /// What is to be said of the name.
    package enum Validity: Hashable, Sendable {
        case current
        case deprecated
        /// It asks for what a gateway cannot do: its policy is used in its place.
        case meaningless
    }

    /// Every name that a DestinationRule may use.
    package static let allCases =
        BalancingPolicy.allCases.map { BalancingName($0.rawValue, $0, .current) } + [
            BalancingName("UNSPECIFIED", .usual, .current),
            BalancingName("LEAST_CONN", .leastRequest, .deprecated),
            // Istio sends to the address that the client wrote, which at a gateway is the gateway's own.
            BalancingName("PASSTHROUGH", .usual, .meaningless),
        ]

    /// - Returns: nil if the name is unknown.
    package init?(rawValue: String) {
        guard let known = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
        self = known
    }

    private init(_ name: String, _ policy: BalancingPolicy, _ validity: Validity) {
        rawValue = name
        self.policy = policy
        self.validity = validity
    }
}
