internal import Balancing
internal import Octets
internal import Reactor
internal import Routing
internal import Telemetry

/// What stays of a relay when it is over: counts, and a line in the access log as Envoy's TCP proxy writes it. Its
/// worker's thread only.
struct RelayReporter {
    private let services: WorkerServices
    private let reason = OctetBuffer(capacity: 256)    // of an endpoint's failure, while a line is written
    private static let keptOctets = 1024    // of it, between two lines

    init(services: WorkerServices) { self.services = services }

    /// Counts the relay, and writes its line of the access log.
    func report(_ relay: Relay, _ end: RelayEnd) {
        services.metrics.relayEnded(route: relay.route.metrics, flag: end.flag)
        guard services.log.isOn else { return }
        var entry = AccessLogEntry(start: relay.startedWall)
        entry.protocol = .unknown
        entry.flags = end == .connectFailed ? "UF,URX" : end.flag.text
        entry.details = end.details
        entry.bytesReceived = relay.state.received
        entry.bytesSent = relay.state.sent
        entry.durationNanoseconds = services.loop.now.nanoseconds(since: relay.started)
        entry.tries = relay.state.tried.count
        entry.upstreamHost = relay.upstreamReached ?? relay.endpoint.kept?.name
        entry.cluster = relay.destination?.cluster.name
        entry.routeName = relay.route.route.name
        entry.upstreamLocal = relay.upstreamLocal
        entry.serverName = relay.serverName
        if let client = relay.connection(.downstream) {
            entry.downstreamLocal = client.localText
            entry.downstreamRemote = client.peerText
            entry.proxyFacts = client.announcement?.facts
        }
        if !relay.failure.isEmpty {
            reason.clear(keeping: Self.keptOctets)
            reason.append(text: relay.failure)
            entry.upstreamFailure = reason.octets
        }
        services.log.log(entry)
    }
}

extension RelayEnd {
    /// Its flag in the access log and in metrics.
    var flag: ResponseFlag {
        switch self {
        case .finished, .idle, .aged, .shutDown: .none
        case .clientLost: .clientClosed
        case .endpointLost: .upstreamClosed
        case .unavailable: .noCluster
        case .noEndpoint: .noHealthyEndpoint
        case .unresolved: .unresolved
        case .connectFailed: .connectFailure
        case .overflow: .overflow
        case .overloaded: .overload
        }
    }

    /// Its RESPONSE_CODE_DETAILS in the access log; nil if there is nothing to say.
    var details: String? {
        switch self {
        case .finished: nil
        case .clientLost: "downstream_remote_disconnect"
        case .endpointLost: "upstream_remote_disconnect"
        case .unavailable(let reason): "cluster_not_found{\(reason)}"
        case .noEndpoint: "no_healthy_upstream"
        case .unresolved(let reason): "dns_resolution_failure{\(reason)}"
        case .connectFailed: "upstream_connect_failed"
        case .overflow: "upstream_overflow"
        case .idle: "tcp_session_idle_timeout"
        case .aged: "max_connection_duration"
        case .overloaded: "overload"
        case .shutDown: "drain_time_over"
        }
    }
}
