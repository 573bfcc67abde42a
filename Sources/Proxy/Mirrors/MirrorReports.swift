internal import Balancing
internal import HTTP
internal import Reactor

/// What a copy reports of its endpoint to those who watch it: the same that a request does, because Envoy sends copies
/// by a router of their own. It knows no connection: what comes of the answer goes in, and the status to report comes
/// out.
/// Source: envoyproxy/envoy source/common/router/shadow_writer_impl.cc, source/common/http/async_client_impl.cc.
struct MirrorReport {
    private let isGRPC: Bool
    private var status = 0    // of the answer, before it has come
    private var isReported = false

    init(isGRPC: Bool) { self.isGRPC = isGRPC }

    /// Whether something is still to be reported.
    var isOpen: Bool { !isReported }

    /// A header section of the answer has come.
    /// - Parameters:
    ///   - grpcStatus: in it; nil: it has none.
    ///   - isEnd: nothing follows.
    /// - Returns: the HTTP status to report; nil: none yet, or not again.
    mutating func headers(_ status: Int, grpcStatus: Int?, isEnd: Bool) -> Int? {
        self.status = status
        guard status >= 200 else { return nil }
        let code = isGRPC ? grpcStatus : nil
        // A gRPC status counts more than HTTP's, and comes at the end of most calls.
        if code == nil, isGRPC, status == 200, !isEnd { return nil }
        return report(code.map(GRPC.httpStatus) ?? status)
    }

    /// The trailers of the answer have come.
    /// - Returns: as `headers`.
    mutating func trailers(grpcStatus: Int?) -> Int? {
        report((isGRPC ? grpcStatus : nil).map(GRPC.httpStatus) ?? status)
    }

    /// The answer has come to its end.
    /// - Returns: as `headers`.
    mutating func ended() -> Int? { status >= 200 ? report(status) : nil }

    /// The copy has failed by its endpoint.
    /// - Returns: whether that is to be reported.
    mutating func failed() -> Bool {
        defer { isReported = true }
        return !isReported
    }

    /// Each copy counts once.
    private mutating func report(_ status: Int) -> Int? { failed() ? status : nil }
}

/// Gives those who watch a mirror's endpoint what its copies have to report.
enum MirrorReports {
    /// A header section or trailers of the mirror's answer have come. Nothing is read of them where nobody watches.
    static func came(
        _ event: StreamEvent, _ mirror: Mirror, from connection: Connection, _ services: WorkerServices
    ) {
        guard let observer = mirror.observer, mirror.report.isOpen else { return }
        guard let block = connection.session.takeHeaders(event.slot) else { return }
        defer { services.letGo(block) }
        let code = block.grpcStatusCode
        let status =
            event.kind == .headers
            ? mirror.report.headers(block.statusCode ?? 502, grpcStatus: code, isEnd: event.isLast)
            : mirror.report.trailers(grpcStatus: code)
        if let status { observer.note(.answered(status), at: services.loop.now.nanoseconds) }
    }

    /// The answer has come to its end.
    static func ended(_ mirror: Mirror, _ services: WorkerServices) {
        guard let observer = mirror.observer, let status = mirror.report.ended() else { return }
        observer.note(.answered(status), at: services.loop.now.nanoseconds)
    }

    /// The copy has failed by its endpoint.
    static func failed(_ result: EndpointResult, _ mirror: Mirror, _ services: WorkerServices) {
        guard let observer = mirror.observer, mirror.report.failed() else { return }
        observer.note(result, at: services.loop.now.nanoseconds)
    }
}
