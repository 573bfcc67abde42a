internal import Manifests

/// The header operations of a rule and of its destinations. Source: Istio `HTTPRoute.headers`,
/// `HTTPRoute.route.headers`; docs/istio.md, Header operations.
///
/// Thread: any. Freed by: its `RouteExtras`.
package final class HeaderPolicy: Sendable {
    /// The rule's, with those of its destination if it has one only. They come last.
    package let request: HeaderEdits?
    /// The same for the answer.
    package let response: HeaderEdits?
    /// Those of each destination of a rule with several, in the order of `Route.destinations`; empty if none has any.
    let destinations: [Destination]

    /// What is done for one destination, after the route's own edits.
    struct Destination: Sendable {
        let request: HeaderEdits?
        let response: HeaderEdits?
    }

    /// Compiles the operations of a rule; nil if it has none.
    init?(_ rule: HTTPRoute) {
        let isSingle = rule.destinations.count == 1
        let sources = [rule.headers] + (isSingle ? [rule.destinations[0].headers] : [])
        request = HeaderEdits(sources.compactMap { $0?.request }, of: .request)
        response = HeaderEdits(sources.compactMap { $0?.response }, of: .response)
        let several = (isSingle ? [] : rule.served).map { entry in
            let source = entry.headers.map { [$0] } ?? []
            return Destination(
                request: HeaderEdits(source.map(\.request), of: .request),
                response: HeaderEdits(source.map(\.response), of: .response))
        }
        destinations = several.allSatisfy { $0.request == nil && $0.response == nil } ? [] : several
        if request == nil, response == nil, destinations.isEmpty { return nil }
    }

    /// The operations of a destination alone, on the request.
    /// - Parameter destination: its place in `Route.destinations`; below zero before one is chosen.
    package func request(for destination: Int) -> HeaderEdits? {
        destinations.indices.contains(destination) ? destinations[destination].request : nil
    }

    /// The same for the answer.
    package func response(for destination: Int) -> HeaderEdits? {
        destinations.indices.contains(destination) ? destinations[destination].response : nil
    }
}

extension HTTPRoute {
    /// The destinations that get requests. A single one gets all, whatever its weight; of several, those of weight 0
    /// get none. Source: docs/istio.md, Weights.
    var served: [RouteDestination] {
        destinations.count == 1 ? destinations : destinations.filter { $0.weight?.value ?? 0 > 0 }
    }
}
