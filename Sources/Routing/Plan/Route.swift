package import Manifests

/// Where one rule sends its requests. One rule has two routes if it leads to different clusters in different places,
/// for example because a port is inferred from the listener.
///
/// Thread: any. Freed by: the last plan or request that has it.
package final class Route: Sendable {
    /// Index into the plan's routes.
    package let number: Int
    /// `namespace/name/` and the rule's name, or its place in the list.
    package let name: String
    /// The value of the label `route` in metrics, which several routes may have: their requests are counted together.
    package var metricsName: String { policy.extras?.matched.statPrefix ?? name }
    /// The destinations that get requests; empty only if the route is `unavailable`, or answers by itself.
    package let destinations: [WeightedDestination]
    /// The sum of the weights.
    package let totalWeight: UInt64
    /// What the rule asks for besides its destinations.
    package let policy: RoutePolicy
    /// The limit for the whole request; nil is none.
    package var timeout: Duration? { policy.timeout }
    /// Why the route serves no request; the answer is then 503, or a redirect. nil if it serves.
    package var unavailable: Unavailable? { reason?.unavailable }
    private let reason: Reason?    // by reference, because few routes have one
    /// The VirtualService of the rule.
    package let object: ObjectReference
    package let place: SourcePlace

    /// Makes a route; without destinations, it must be `unavailable`, or answer by itself.
    package init(
        number: Int, name: String, clusters: [(cluster: Int, weight: Int)], policy: RoutePolicy,
        unavailable: Unavailable?, object: ObjectReference, place: SourcePlace
    ) {
        self.number = number
        self.name = name
        var sum: UInt64 = 0
        destinations = clusters.map {
            sum += UInt64(UInt32(clamping: $0.weight))    // only 2³² destinations could overflow it
            return WeightedDestination(cluster: $0.cluster, upTo: sum)
        }
        totalWeight = sum
        self.policy = policy
        reason = unavailable.map(Reason.init)
        self.object = object
        self.place = place
    }

    /// The same route in another plan.
    /// - Parameter clusters: of the destinations in that plan, in their order.
    init(_ other: Route, number: Int, clusters: [Int]) {
        self.number = number
        name = other.name
        destinations = zip(other.destinations, clusters).map { WeightedDestination(cluster: $1, upTo: $0.upTo) }
        totalWeight = other.totalWeight
        policy = other.policy
        reason = other.reason
        object = other.object
        place = other.place
    }

    /// The clusters of its destinations, then those of its mirrors.
    var clusters: some Sequence<Int> {
        destinations.map(\.cluster) + (policy.extras?.mirrors.map(\.cluster) ?? [])
    }

    /// Thread: any. Freed by: the last route that has it.
    private final class Reason: Sendable {
        let unavailable: Unavailable
        init(_ unavailable: Unavailable) { self.unavailable = unavailable }
    }

    /// Chooses a destination by weight.
    /// - Parameter random: a fresh random number.
    /// - Returns: its index in `destinations`; -1 if the route is unavailable.
    package func destinationIndex(random: UInt64) -> Int {
        guard destinations.count > 1, totalWeight > 0 else { return destinations.isEmpty ? -1 : 0 }
        let drawn = random % totalWeight
        for place in destinations.indices where drawn < destinations[place].upTo { return place }
        return destinations.count - 1
    }

    /// The cluster of a destination by its index; -1 if there is none.
    package func cluster(ofDestination place: Int) -> Int {
        destinations.indices.contains(place) ? destinations[place].cluster : -1
    }

    /// Chooses a cluster by weight; -1 if the route is unavailable.
    /// - Parameter random: a fresh random number.
    package func destination(random: UInt64) -> Int { cluster(ofDestination: destinationIndex(random: random)) }
}

/// A cluster and the upper end of its share.
package struct WeightedDestination: Sendable, Hashable {
    /// The cluster's number in the plan.
    package let cluster: Int
    /// The sum of the weights up to and including this one.
    package let upTo: UInt64
}

/// Why a route or a cluster serves no request. The answer is 503, with `sentence`, but for a redirect.
package enum Unavailable: Sendable, Hashable {
    /// A server in clear text redirects its host to HTTPS (`tls.httpsRedirect`): the answer is 301.
    case redirectedToHTTPS
    case unknownHost(String)
    case unknownPort(host: String, port: Int)
    /// The host has several ports, the rule names none, and the listener's port is not one of them.
    case portNeeded(host: String)
    case unknownSubset(host: String, subset: String)
    /// The service has no addresses: `resolution: NONE`.
    case noAddresses(host: String)
    case notInEffect(String)
    case brokenRule
    /// No rule is for the connections of a server that carries TCP.
    case noRule
    /// The object that defines the host has an error.
    case leftOut(String)
    /// Earlier destinations have as many endpoints as one load may have.
    case tooManyEndpoints
    /// Earlier rules have as many matches as one load may have.
    case tooManyRules
    case tooManyHosts
    /// TLS to the endpoints has no usable certificate or authority; the sentence says why.
    case noCredential(String)

    /// The status of the answer.
    package var status: Int { self == .redirectedToHTTPS ? 301 : 503 }

    /// Whether what it is about is known and has no endpoint: an answer like that of a service without any.
    package var isWithoutEndpoint: Bool {
        if case .noAddresses = self { true } else { false }
    }

    /// One sentence that explains it, without a full stop.
    package var sentence: String {
        switch self {
        case .redirectedToHTTPS: "redirected to HTTPS"
        case .unknownHost(let host): "unknown destination host \(host)"
        case .unknownPort(let host, let port): "\(host) has no port \(port)"
        case .portNeeded(let host): "\(host) has several ports and the rule names none"
        case .unknownSubset(let host, let subset): "\(host) has no subset \(subset)"
        case .noAddresses(let host): "\(host) has no addresses of its own"
        case .notInEffect(let what): "\(what) is not in effect yet"
        case .brokenRule: "the rule has an error"
        case .noRule: "no rule is for its connections"
        case .leftOut(let object): "\(object) was left out because of an error"
        case .tooManyEndpoints: "the definitions have too many endpoints"
        case .tooManyRules: "the definitions have too many rules"
        case .tooManyHosts: "the definitions have too many hosts"
        case .noCredential(let sentence): sentence
        }
    }
}
