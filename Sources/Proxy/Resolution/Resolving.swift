internal import HTTP
internal import Octets
internal import Routing

/// The step `resolve`: a destination whose endpoints are the addresses of the host that the request names
/// (`resolution: DYNAMIC_DNS`). Source: docs/behaviour.md, Hosts that requests name.
enum Resolving {
    /// Finds the destination of the request's host, or waits for its look-up.
    @inline(never)
    static func find(_ exchange: Exchange) -> StepEnd {
        guard let parent = exchange.destination.unretained?({ $0 }), let requested = parent.requested else {
            return .next
        }
        let authority =
            Rewriting.authority(exchange)
            ?? exchange.request.unretained?({ $0.first(.authority) ?? $0.first(.host) ?? .empty }) ?? .empty
        switch requested.find(RouteTable.host(of: authority), of: parent, exchange.services) {
        case .destination(let found):
            exchange.destination.keep(found)
            return .next
        case .wait(let host):
            exchange.use(.resolving(Unretained(host)), keeping: host)
            exchange.services.hostWaits.join(exchange.number, host)
            return .wait(.resolution)
        case .failed(let reason):
            exchange.explanation = reason
            return .answer(.hostUnresolved)
        case .refused(let reason):
            exchange.explanation = reason
            return .answer(.unknownCluster)
        case .full(let reason):
            exchange.explanation = reason
            return .answer(.overflow)
        }
    }
}
