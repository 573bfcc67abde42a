internal import Balancing
internal import HTTP
internal import Reactor

/// What a copy tells of its endpoint to those who observer it: the same that a request does, because Envoy sends copies
/// by a router of their own. Source: envoyproxy/envoy source/common/router/shadow_writer_impl.cc,
/// source/common/http/async_client_impl.cc.
enum MirrorReports {
    /// A header section or trailers of the mirror's answer have come. Nothing is read of them where nobody watches.
    static func came(
        _ event: StreamEvent, _ mirror: Mirror, from connection: Connection, _ services: WorkerServices
    ) {
        guard let observer = mirror.observer, !mirror.isReported else { return }
        guard let block = connection.session.takeHeaders(event.slot) else { return }
        defer { services.letGo(block) }
        if event.kind == .headers {
            mirror.status = block.statusCode ?? 502
            guard mirror.status >= 200 else { return }
        }
        let status = mirror.isGRPC ? block.grpcStatusCode : nil
        // A gRPC status counts more than HTTP's, and comes at the end of most calls.
        if status == nil, mirror.isGRPC, mirror.status == 200, event.kind == .headers, !event.isLast { return }
        note(.answered(status.map(GRPC.httpStatus) ?? mirror.status), mirror, observer, services)
    }

    /// The answer has come to its end.
    static func ended(_ mirror: Mirror, _ services: WorkerServices) {
        guard let observer = mirror.observer, mirror.status >= 200 else { return }
        note(.answered(mirror.status), mirror, observer, services)
    }

    /// The copy has failed by its endpoint.
    static func failed(_ result: EndpointResult, _ mirror: Mirror, _ services: WorkerServices) {
        if let observer = mirror.observer { note(result, mirror, observer, services) }
    }

    /// Each copy counts once.
    private static func note(
        _ result: EndpointResult, _ mirror: Mirror, _ observer: OutlierObserver, _ services: WorkerServices
    ) {
        guard !mirror.isReported else { return }
        mirror.isReported = true
        observer.note(result, at: services.loop.now.nanoseconds)
    }
}
