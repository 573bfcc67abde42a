internal import Balancing
internal import Routing

/// The rule that a request was matched to, and the destination that was drawn for it.
struct ChosenRoute {
    private enum Source {
        case none
        /// By its number in the worker's configuration.
        case numbers(WorkerSnapshot, route: Int)
        /// By itself: the configuration that it was in is not the newest any more, and is not kept for it.
        case kept(Kept)
    }

    private final class Kept {
        let route: Route
        let metricsNumber: Int

        init(_ snapshot: Snapshot, route: Int) {
            self.route = snapshot.plan.routes[route]
            metricsNumber = snapshot.routeMetrics[route]
        }
    }

    private var source = Source.none
    /// The whole request's limit; nil when there is none.
    private(set) var timeout: Duration?
    /// Whether the cluster's port speaks HTTP/2.
    private(set) var isHTTP2 = false
    /// The destination that was drawn.
    private(set) var cluster: Cluster?

    init() {}

    init(_ snapshot: WorkerSnapshot, route: Int) {
        source = .numbers(snapshot, route: route)
        timeout = snapshot.shared.plan.routes[route].timeout
    }

    /// Draws a destination by weight.
    /// - Parameter random: a fresh random number.
    /// - Returns: why the rule or its destination can serve nobody; nil when it can.
    mutating func choose(random: UInt64) -> Unavailable? {
        guard case .numbers(let snapshot, let number) = source else { return .brokenRule }
        let route = snapshot.shared.plan.routes[number]
        if let reason = route.unavailable { return reason }
        let chosen = route.destination(random: random)
        guard chosen >= 0 else { return .brokenRule }
        let plan = snapshot.shared.plan.clusters[chosen]
        cluster = snapshot.shared.clusters[chosen]
        isHTTP2 = plan.isHTTP2
        if case .unavailable(let reason) = plan.source { return reason }
        return nil
    }

    /// Lets go of a configuration that is not the newest any more: an open call must not pin all of it.
    mutating func release(unless current: WorkerSnapshot?) {
        guard case .numbers(let snapshot, let route) = source, snapshot !== current else { return }
        source = .kept(Kept(snapshot.shared, route: route))
    }

    var isChosen: Bool { if case .none = source { false } else { true } }

    var name: String? {
        switch source {
        case .none: nil
        case .numbers(let snapshot, let route): snapshot.shared.plan.routes[route].name
        case .kept(let kept): kept.route.name
        }
    }

    /// Under which number metrics know the rule; nil when none was found.
    var metricsNumber: Int? {
        switch source {
        case .none: nil
        case .numbers(let snapshot, let route): snapshot.shared.routeMetrics[route]
        case .kept(let kept): kept.metricsNumber
        }
    }
}
