package import Manifests

/// Where one rule sends its requests. Two rules of one text have two routes when they lead to
/// different clusters, for example because a port is inferred from the listener.
package final class Route: Sendable {
    /// Index into the plan's routes.
    package let number: Int
    /// `namespace/name/` and the rule's name, or its place in the list.
    package let name: String
    /// What has a share; never empty unless `unavailable`.
    package let destinations: [WeightedDestination]
    package let totalWeight: UInt64
    package let policy: RoutePolicy
    /// The limit of the whole request; nil is none.
    package var timeout: Duration? { policy.timeout }
    /// Why nobody can be served; the answer is 503.
    package var unavailable: Unavailable? { fault?.reason }
    private let fault: Fault?    // by reference: few have one
    /// The VirtualService, and where in it the rule is written.
    package let object: ObjectReference
    package let place: SourcePlace

    package init(
        number: Int, name: String, clusters: [(cluster: Int, weight: Int)], policy: RoutePolicy,
        unavailable: Unavailable?, object: ObjectReference, place: SourcePlace
    ) {
        self.number = number
        self.name = name
        var sum: UInt64 = 0
        destinations = clusters.map {
            sum += UInt64(UInt32(clamping: $0.weight))    // 2³² destinations would be needed to overflow
            return WeightedDestination(cluster: $0.cluster, upTo: sum)
        }
        totalWeight = sum
        self.policy = policy
        fault = unavailable.map(Fault.init)
        self.object = object
        self.place = place
    }

    private final class Fault: Sendable {
        let reason: Unavailable
        init(_ reason: Unavailable) { self.reason = reason }
    }

    /// Chooses a cluster by weight; -1 when the route is unavailable.
    /// - Parameter random: a fresh random number.
    package func destination(random: UInt64) -> Int {
        guard destinations.count > 1, totalWeight > 0 else {
            return destinations.first?.cluster ?? -1
        }
        let drawn = random % totalWeight
        for destination in destinations where drawn < destination.upTo {
            return destination.cluster
        }
        return destinations[destinations.count - 1].cluster
    }
}

/// A cluster and the upper end of its share.
package struct WeightedDestination: Sendable, Hashable {
    package let cluster: Int
    /// The sum of the weights up to and with this one.
    package let upTo: UInt64
}

/// Why a route or a cluster can serve nobody. All are answered 503; `sentence` goes into the answer.
package enum Unavailable: Sendable, Hashable {
    case unknownHost(String)
    case unknownPort(host: String, port: Int)
    /// The host has several ports, the rule names none, and the listener's is not one of them.
    case portNeeded(host: String)
    case unknownSubset(host: String, subset: String)
    /// `resolution: NONE`, which a gateway can send nothing to.
    case noAddresses(host: String)
    case notInEffect(String)
    case brokenRule
    /// The object whose host it is has an error.
    case leftOut(String)
    /// The destinations before it have as many endpoints as one load may have.
    case tooManyEndpoints
    /// The rules before it are as many as one load may have.
    case tooManyRules
    case tooManyHosts

    package var sentence: String {
        switch self {
        case .unknownHost(let host): "unknown destination host \(host)"
        case .unknownPort(let host, let port): "\(host) has no port \(port)"
        case .portNeeded(let host): "\(host) has several ports and the rule names none"
        case .unknownSubset(let host, let subset): "\(host) has no subset \(subset)"
        case .noAddresses(let host): "\(host) has no addresses of its own"
        case .notInEffect(let what): "\(what) is not in effect yet"
        case .brokenRule: "the rule has an error"
        case .leftOut(let object): "\(object) was left out because of an error"
        case .tooManyEndpoints: "the definitions have too many endpoints"
        case .tooManyRules: "the definitions have too many rules"
        case .tooManyHosts: "the definitions have too many hosts"
        }
    }
}
