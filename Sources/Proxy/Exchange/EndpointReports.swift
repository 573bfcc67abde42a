internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor

/// What a request tells of its endpoint to those who observer it. Where nobody does, nothing here runs.
enum EndpointReports {
    /// The upstream's final header section has come. A gRPC status counts more than HTTP's, and comes at the end of
    /// most calls; Envoy counts such a call as 200.
    /// Source: envoyproxy/envoy source/common/router/router.cc (onUpstreamHeaders).
    static func headers(_ exchange: Exchange, _ observer: OutlierObserver, _ code: Int, isEnd: Bool) {
        if exchange.traits.isGRPC, exchange.tally.grpcStatus == nil, code == 200, !isEnd { return }
        note(.answered(exchange.tally.grpcStatus.map(GRPC.httpStatus) ?? code), exchange, observer)
    }

    /// The upstream's answer has come to its end.
    /// - Parameter hadStatus: the gRPC status was in the header section.
    static func end(_ exchange: Exchange, _ observer: OutlierObserver, hadStatus: Bool) {
        guard exchange.traits.isGRPC, !hadStatus, exchange.tally.status == 200 else { return }
        note(.answered(exchange.tally.grpcStatus.map(GRPC.httpStatus) ?? 200), exchange, observer)
    }

    /// The try has failed, or the answer was broken off.
    static func failure(_ exchange: Exchange, _ observer: OutlierObserver, _ situation: Situation) {
        // A try that took too long is reported by `timeout`, while its stream is there.
        guard situation != .tryTimedOut, situation.outcome.blame == .upstream else { return }
        note(.failed, exchange, observer)
    }

    /// The time of the request, or of a try, is over. As long as the client sends, an endpoint that takes what comes
    /// need not answer; the handshake of a WebSocket is all there.
    /// Source: envoyproxy/envoy source/common/router/router.cc (its timers begin behind the end of the request).
    static func timeout(_ exchange: Exchange, _ observer: OutlierObserver) {
        guard case .stream = exchange.upstream, exchange.state.answer == .none else { return }
        let isDue = exchange.state.request != .receiving || exchange.traits.isWebSocket
        guard isDue || exchange.stuckSituation == .upstreamStalled else { return }
        note(.timedOut, exchange, observer)
    }

    private static func note(_ result: EndpointResult, _ exchange: Exchange, _ observer: OutlierObserver) {
        observer.note(result, at: exchange.services.loop.now.nanoseconds)
    }

    /// Notes in its cluster's tally what has become of the request.
    @inline(never)
    static func fate(_ fate: ClusterTally.Fate, of exchange: Exchange) {
        let now = exchange.services.loop.now.nanoseconds
        exchange.destination.unretained?({ $0.cluster.state.tally.count(fate, at: now) })
    }

    /// Why a cluster has no endpoint, and whether there are some that fail.
    static func absence(_ cluster: Cluster) -> (words: String, areFailing: Bool) {
        let ejected = cluster.state.detector?.totals.ejected ?? 0
        let unwell = cluster.state.endpoints.count { $0.health != .available }
        let reasons = [
            ejected > 0 ? "\(ejected) are ejected by outlierDetection" : nil,
            unwell > 0 ? "\(unwell) have not passed their health check" : nil,
        ].compactMap(\.self)
        let words = "\(cluster.name) has no ready endpoint" + (reasons.isEmpty ? "" : ": ")
        return (words + reasons.joined(separator: ", "), !reasons.isEmpty)
    }
}
