internal import HTTP
internal import Octets
internal import Reactor
internal import Telemetry

/// What a worker's listeners tell of the load balancer in front of them: looked for only where something is refused,
/// where a connection begins without saying what it speaks, and where it ends. Its worker's thread only.
enum FrontEnd {
    /// A connection that ends sooner is a client's own affair.
    static let longSilence = Duration.seconds(10)

    /// A client or its request was refused.
    static func refused(_ refusal: Refusal, _ connection: Connection, _ services: WorkerServices) {
        guard connection.role == .downstream, let finding = FrontFinding(refusal) else { return }
        note(finding, connection, services)
    }

    /// Something was found out about a client's connection.
    static func note(
        _ finding: FrontFinding, _ connection: Connection, _ services: WorkerServices, detail: String = "",
        silence: Duration? = nil
    ) {
        guard let name = services.current?.served(connection.listener)?.sockets.name else { return }
        let isDue = services.metrics.front.note(
            finding, on: name, at: services.loop.wallNow, detail: detail,
            silence: silence.map { UInt32(clamping: $0.components.seconds) },
            peer: { connection.directText ?? "unknown" })
        guard isDue, finding.isHarmful else { return }
        services.messages.warn(
            "listener \(name), client \(connection.directText ?? "unknown"): \(finding.sentence); "
                + "`portico doctor` says what it means and what to change", at: services.loop.wallNow)
    }

    /// A client's connection ends because its peer wants it.
    /// - Parameter end: what the last read has said.
    static func ended(_ connection: Connection, _ end: IOResult, _ services: WorkerServices) {
        guard connection.role == .downstream else { return }
        switch connection.state.phase {
        case .sniffing(hasOctets: false), .proxyHeader: endedUnused(connection, services)
        case .open(.serving): endedInUse(connection, end, services)
        default: break
        }
    }

    /// It came to an end before it said anything.
    static func endedUnused(_ connection: Connection, _ services: WorkerServices) {
        guard connection.headerBegun == nil, connection.state.age(at: services.loop.now) < longSilence else { return }
        note(.bareCheck, connection, services)
    }

    private static func endedInUse(_ connection: Connection, _ end: IOResult, _ services: WorkerServices) {
        let silence = services.loop.now.duration(since: connection.state.activeBefore)
        let isIdle = connection.session.openStreams == 0
        if isIdle, case .failed(let code) = end, SystemError("read", code: code).isReset {
            note(.idleReset, connection, services, silence: silence)
        } else if silence >= longSilence {
            note(isIdle ? .idleClosed : .silentCut, connection, services, silence: silence)
        }
    }

    /// No route serves a request: it may be a health check.
    static func unrouted(
        _ request: HeaderBlock, _ path: Octets, _ connection: Connection, _ services: WorkerServices
    ) {
        let agent = request.first(named: "user-agent") ?? .empty
        guard checkers.contains(where: { agent.hasPrefix($0) }) || path.hasPrefix("/grpc.health.v1.Health/") else {
            return
        }
        note(.strayCheck, connection, services, detail: agent.prefix(mostAgentOctets).string)
    }

    private static let mostAgentOctets = 64

    /// How health checks of balancers and of the kubelet introduce themselves.
    private static let checkers: [Octets] = [
        "ELB-HealthChecker/", "kube-probe/", "GoogleHC/", "clb-healthcheck", "Consul Health Check",
    ]
}

/// A gRPC call that came in HTTP/1.1, which gRPC does not know: a balancer in front has made it of HTTP/2.
/// Source: grpc/grpc doc/PROTOCOL-HTTP2.md; docs/behaviour.md, Bodies and ends.
enum GRPCDowngrade {
    /// Notes it, and refuses the call where the status of its answer would be lost.
    @inline(never)
    static func admit(_ exchange: Exchange, from connection: Connection) -> StepEnd {
        let isOld = connection.session.isHTTP10
        let asksForTrailers = (exchange.request.unretained?({ $0.first(.te) }) ?? nil) != nil
        FrontEnd.note(
            .grpcOverHTTP1, connection, exchange.services,
            detail: isOld ? "HTTP/1.0" : asksForTrailers ? "with te: trailers" : "without te: trailers")
        return isOld || !asksForTrailers ? .answer(.grpcDowngraded) : .next
    }
}
