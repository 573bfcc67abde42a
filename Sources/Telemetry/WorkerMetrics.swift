package import Reactor

/// The side of a connection: a client's or an endpoint's.
package enum ConnectionSide: Int, Sendable, CaseIterable {
    case downstream, upstream
}

/// Why a request was sent again.
package enum RetryReason: Int, Sendable, CaseIterable {
    case connectFailure, refusedStream, connectionLost, reset, tryTimeout, status, grpcStatus

    /// The value of the label `reason`.
    var label: String {
        switch self {
        case .connectFailure: "connect_failure"
        case .refusedStream: "refused_stream"
        case .connectionLost: "connection_lost"
        case .reset: "reset"
        case .tryTimeout: "try_timeout"
        case .status: "status"
        case .grpcStatus: "grpc_status"
        }
    }
}

/// What became of a copy of a request that goes to a mirror.
package enum MirrorResult: Int, Sendable, CaseIterable {
    /// The mirror has answered, whatever it said.
    case completed
    /// It could not be reached, broke off, or took too long.
    case failed
    /// The copy was given up here: there were too many, memory was short, the mirror did not take its body as fast as
    /// it came, or the client's request was not complete.
    case dropped

    /// The value of the label `result`.
    package var label: String {
        switch self {
        case .completed: "completed"
        case .failed: "failed"
        case .dropped: "dropped"
        }
    }
}

/// Why a connection to an endpoint could not be made.
package enum ConnectFailure: Int, Sendable, CaseIterable {
    /// No process listens there.
    case refused
    case timedOut
    /// No way leads to the address.
    case unreachable
    case reset
    case handshake
    /// This machine lacks what a connection needs; the endpoint has no part in it.
    case lacking
    case other

    /// The reason of a system call's error.
    package init(_ error: SystemError) {
        switch true {
        case error.isOwn: self = .lacking
        case error.isRefused: self = .refused
        case error.isTimedOut: self = .timedOut
        case error.isUnreachable: self = .unreachable
        case error.isReset: self = .reset
        default: self = .other
        }
    }

    /// The value of the label `reason`.
    package var label: String {
        switch self {
        case .refused: "refused"
        case .timedOut: "timed_out"
        case .unreachable: "unreachable"
        case .reset: "reset"
        case .handshake: "tls_handshake"
        case .lacking: "local_resources"
        case .other: "other"
        }
    }

    /// What to do about it, for the line on standard error; empty where the reason's own words have to do.
    package var advice: String {
        switch self {
        case .refused: "check that the pod listens on this port, which is the Service's targetPort"
        case .timedOut: "check that network policies and firewalls let the gateway reach this port"
        case .unreachable: "check the routes to this address, and whether its node is up"
        case .reset: "look for the reason in the endpoint's log, or in a proxy in front of it"
        case .lacking: "the gateway's machine lacks that: look at its limits of descriptors, ports and memory"
        case .handshake, .other: ""
        }
    }
}

/// How a client's connection began where the PROXY protocol is expected.
package enum ProxyHeaderKind: Int, Sendable, CaseIterable {
    /// With the client's address.
    case v1, v2
    /// Without it: the proxy does not know it, or the connection is the proxy's own.
    case v1Unknown, v2Unknown, v2Local
    /// Without a header, which was optional.
    case absent

    /// The value of the label `kind`.
    var label: String {
        switch self {
        case .v1: "v1"
        case .v2: "v2"
        case .v1Unknown: "v1_unknown"
        case .v2Unknown: "v2_unknown"
        case .v2Local: "v2_local"
        case .absent: "absent"
        }
    }
}

/// The counters of one worker. Only the worker's thread writes them, without locks and without atomic additions.
/// `Metrics` reads and adds them up on any thread.
///
/// Thread: its worker's writes, any reads. Freed by: the last of `Metrics` and the worker.
package final class WorkerMetrics: Sendable {
    /// The counters that exist from the start, by their place in `page`.
    enum Fixed: Int, CaseIterable {
        case downstreamOpened, upstreamOpened, downstreamClosed, upstreamClosed
        case requestsStarted, requestsEnded
        case retries    // the first reason; the others follow
    }

    /// The values that rise and fall, by their place in `gauges`.
    enum Gauge: Int, CaseIterable { case handshakes, headerOctets }

    private static let fixedCount = Fixed.retries.rawValue + RetryReason.allCases.count
    /// Combinations of route, status and gRPC status. Further ones share a series (docs/limits.md).
    private static let requestSeriesLimit = 20_000
    /// Histograms, each of which has a counter for every bucket. Further routes share one (docs/limits.md).
    private static let durationSeriesLimit = 1_000

    private let page = MetricsPage(count: fixedCount)
    private let connectFailures = MetricsPage(count: ConnectFailure.allCases.count)
    private let proxyHeaders = MetricsPage(count: ProxyHeaderKind.allCases.count)
    private let mirrors = MetricsPage(count: MirrorResult.allCases.count)
    private let limits = MetricsPage(count: ReachedLimit.allCases.count)
    private let gauges = MetricsPage(count: Gauge.allCases.count)
    /// By `Refusal.index`: those of clients, then those of upstreams.
    private let refusals = MetricsPage(count: 2 * Refusal.all.count)
    let requests = MetricsSeries(
        width: 1, limit: requestSeriesLimit, overflow: RequestKey.overflow.packed)
    let durations = MetricsSeries(
        width: DurationBuckets.count + 1, limit: durationSeriesLimit, overflow: UInt64(Metrics.otherRoute))

    let relays = RelayMetrics()
    /// What listeners tell of the load balancer in front of them.
    package let front = FrontLedger()

    /// Tries that were sent to an endpoint, by its number.
    private let tries = MetricsTable()

    init() {}

    /// What the worker has counted since it began; any thread may ask.
    /// - Parameter offset: for counters that have a place for each of several kinds.
    func value(_ counter: Fixed, _ offset: Int = 0) -> UInt64 { page[counter.rawValue + offset].value }

    /// Failed connections to endpoints, each counted under the one reason that ended it.
    func value(_ reason: ConnectFailure) -> UInt64 { connectFailures[reason.rawValue].value }

    /// Copies for mirrors, each counted once, when its fate is known.
    func value(_ result: MirrorResult) -> UInt64 { mirrors[result.rawValue].value }

    /// How many connections began in a way.
    func value(_ kind: ProxyHeaderKind) -> UInt64 { proxyHeaders[kind.rawValue].value }

    /// How often the limit has taken something from somebody, since the worker began.
    func value(_ limit: ReachedLimit) -> UInt64 { limits[limit.rawValue].value }

    /// What the worker has last set; any thread may ask.
    func value(_ gauge: Gauge) -> UInt64 { gauges[gauge.rawValue].value }

    /// How often something was refused on one side.
    func value(_ refusal: Refusal, _ side: ConnectionSide) -> UInt64 {
        refusals[side.rawValue * Refusal.all.count + refusal.index].value
    }

    /// Tries sent to all endpoints that had this number.
    func tries(endpoint number: Int) -> UInt64 { tries.value(of: number) }

    private func add(_ counter: Fixed, _ offset: Int = 0) { page[counter.rawValue + offset].add(1) }
}

// For the worker's thread only.
extension WorkerMetrics {
    /// Counts a connection that was accepted from a client, or that is begun to an endpoint.
    package func connectionOpened(_ side: ConnectionSide) { add(.downstreamOpened, side.rawValue) }
    /// Counts the end of a connection that `connectionOpened` has counted: the difference is shown as open ones.
    package func connectionClosed(_ side: ConnectionSide) { add(.downstreamClosed, side.rawValue) }

    /// Counts a request whose header section was read. One call of `requestEnded` must follow.
    package func requestStarted() { add(.requestsStarted) }

    /// Counts a request that has ended.
    /// - Parameters:
    ///   - route: an ID of `Metrics.routeID`, or `Metrics.noRoute`.
    ///   - status: the HTTP status; 0 if no response was sent.
    ///   - grpcStatus: the gRPC status; -1 if the request was not gRPC or no status was sent.
    ///   - durationNanoseconds: from the request's header section to the end of the response.
    package func requestEnded(route: Int, status: Int, grpcStatus: Int, durationNanoseconds: UInt64) {
        add(.requestsEnded)
        let key = RequestKey(route: route, status: status, grpcStatus: grpcStatus)
        requests.first(of: key.packed).add(1)
        let histogram = durations.first(of: UInt64(key.route))
        histogram.following(DurationBuckets.index(of: durationNanoseconds)).add(1)
        histogram.following(DurationBuckets.count).add(durationNanoseconds)
    }

    /// Counts a relay that begins. One call of `relayEnded` must follow.
    package func relayStarted() { relays.began() }

    /// Counts a relay that has ended.
    /// - Parameters:
    ///   - route: an ID of `Metrics.routeID`.
    ///   - flag: why, as the access log has it.
    package func relayEnded(route: Int, flag: ResponseFlag) { relays.ended(route: route, flag: flag) }

    /// Counts octets that were relayed.
    /// - Parameter isUp: whether they come from the client.
    package func relayed(_ octets: Int, isUp: Bool, route: Int) { relays.passed(octets, isUp: isUp, route: route) }

    /// Counts a try that is sent to the endpoint of that number.
    package func tried(endpoint number: Int) { tries.counter(of: number).add(1) }

    /// Counts one more try of a request, by why the try before it was not enough.
    package func retried(_ reason: RetryReason) { add(.retries, reason.rawValue) }
    /// Counts a connection to an endpoint that could not be made.
    package func upstreamConnectFailed(_ reason: ConnectFailure) { connectFailures[reason.rawValue].add(1) }
    /// Counts a client's connection that has begun where the PROXY protocol is expected.
    package func began(_ kind: ProxyHeaderKind) { proxyHeaders[kind.rawValue].add(1) }
    /// Counts a copy for a mirror that is over.
    package func mirrored(_ result: MirrorResult) { mirrors[result.rawValue].add(1) }
    /// Counts that a limit was reached, which is an event of one request or connection.
    /// - Parameter times: how often that was since the last call.
    package func reached(_ limit: ReachedLimit, _ times: UInt64 = 1) { limits[limit.rawValue].add(times) }

    /// Sets the gauges, at the end of each turn.
    /// - Parameters:
    ///   - handshakes: TLS handshakes in progress.
    ///   - headerOctets: octets of the header sections of open requests.
    package func hold(handshakes: Int, headerOctets: Int) {
        gauges[Gauge.handshakes.rawValue].set(UInt64(max(handshakes, 0)))
        gauges[Gauge.headerOctets.rawValue].set(UInt64(max(headerOctets, 0)))
    }

    /// Counts what was turned down before it was a request, by the reason and by whether a client or an endpoint sent
    /// it.
    package func refused(_ refusal: Refusal, _ side: ConnectionSide) {
        refusals[side.rawValue * Refusal.all.count + refusal.index].add(1)
    }
}

/// The labels of `portico_requests_total` in one number. All values that no peer should send share one value, so that
/// no peer can create series without end.
struct RequestKey {
    static let otherStatus: UInt32 = 0xfff
    static let otherGRPCStatus: UInt32 = 0xff
    private static let noGRPCStatus: UInt32 = 0xfe

    /// The ID of the name, from `Metrics.routeID`.
    let route: UInt32
    let status: UInt32
    private let grpc: UInt32

    static var overflow: RequestKey { RequestKey(route: Metrics.otherRoute, status: -1, grpcStatus: .max) }

    init(route: Int, status: Int, grpcStatus: Int) {
        self.route = UInt32(exactly: route) ?? UInt32(Metrics.otherRoute)
        self.status = status == 0 || (status >= 100 && status < 600) ? UInt32(status) : Self.otherStatus
        grpc =
            grpcStatus == -1
            ? Self.noGRPCStatus
            : grpcStatus >= 0 && grpcStatus <= 16 ? UInt32(grpcStatus) : Self.otherGRPCStatus
    }

    init(packed: UInt64) {
        route = UInt32(truncatingIfNeeded: packed >> 32)
        status = UInt32(truncatingIfNeeded: packed >> 8 & 0xfff)
        grpc = UInt32(truncatingIfNeeded: packed & 0xff)
    }

    var packed: UInt64 { UInt64(route) << 32 | UInt64(status) << 8 | UInt64(grpc) }
    /// The value of the label `code`.
    var statusLabel: String { status == Self.otherStatus ? "other" : String(status) }
    /// The value of the label `grpc_status`; empty where the answer had none.
    var grpcLabel: String {
        grpc == Self.noGRPCStatus ? "" : grpc == Self.otherGRPCStatus ? "other" : String(grpc)
    }
}

/// The buckets of the duration histogram; the last one has no upper bound.
enum DurationBuckets {
    static let labels = [
        "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5",
        "5", "10", "30", "60", "+Inf",
    ]
    static let count = 17

    /// The bucket of a duration. A chain of comparisons is fast here: most requests end in the first buckets, and
    /// nothing is loaded from memory.
    @inline(__always) static func index(of nanoseconds: UInt64) -> Int {
        switch nanoseconds {
        case ...500_000: 0
        case ...1_000_000: 1
        case ...2_500_000: 2
        case ...5_000_000: 3
        case ...10_000_000: 4
        case ...25_000_000: 5
        case ...50_000_000: 6
        case ...100_000_000: 7
        case ...250_000_000: 8
        case ...500_000_000: 9
        case ...1_000_000_000: 10
        case ...2_500_000_000: 11
        case ...5_000_000_000: 12
        case ...10_000_000_000: 13
        case ...30_000_000_000: 14
        case ...60_000_000_000: 15
        default: 16
        }
    }
}
