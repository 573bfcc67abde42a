internal import ArgumentParser
internal import Proxy
internal import Routing

/// The limits that an operator may set: one flag and one line of `limits` for each. Defaults are those of
/// `Proxy/Worker/Limits.swift`; a test holds docs/limits.md against this list.
struct LimitOptions: ParsableArguments {
    private static let usual = Limits()
    private static let least = Duration.milliseconds(1)

    @Option(
        help: FlagValues.help(
            "Time for an endpoint to accept a connection.", FlagDuration(usual.connectTimeout)),
        transform: FlagValues.duration(from: least))
    var connectTimeout = FlagDuration(usual.connectTimeout)

    @Option(
        help: FlagValues.help(
            "Time for a TLS handshake, or in clear text for the octets that tell the protocol.",
            FlagDuration(usual.handshakeTimeout)),
        transform: FlagValues.duration(from: least))
    var handshakeTimeout = FlagDuration(usual.handshakeTimeout)

    @Option(
        help: FlagValues.help(
            "Time for a whole ClientHello, from its first octet.", FlagDuration(usual.helloTimeout)),
        transform: FlagValues.duration(from: least))
    var helloTimeout = FlagDuration(usual.helloTimeout)

    @Option(
        help: FlagValues.help(
            "TLS handshakes of one worker at a time; one more ends the oldest.", usual.handshakesAtOnce),
        transform: FlagValues.number(1...1_000_000))
    var maxHandshakes = usual.handshakesAtOnce

    @Option(
        help: "Header fields that one worker holds; default: 64Mi, or less by --memory.",
        transform: FlagValues.octets(1 << 20...64 << 30))
    var headerMemory: FlagOctets?

    @Option(
        help: "Resident memory that the process stays below; default: three quarters of its container's.",
        transform: FlagValues.octets(1 << 20...1 << 50))
    var memory: FlagOctets?

    @Option(
        help: FlagValues.help(
            "Time until a client's connection says something.", FlagDuration(usual.firstOctetsTimeout)),
        transform: FlagValues.duration(from: least))
    var firstOctetsTimeout = FlagDuration(usual.firstOctetsTimeout)

    @Option(
        help: FlagValues.help(
            "Time for a connection's header of the PROXY protocol.", FlagDuration(usual.proxyHeaderTimeout)),
        transform: FlagValues.duration(from: least))
    var proxyHeaderTimeout = FlagDuration(usual.proxyHeaderTimeout)

    @Option(
        help: FlagValues.help(
            "Time for a header section, from its first octet to its last.", FlagDuration(usual.headerTimeout)),
        transform: FlagValues.duration(from: least))
    var headerTimeout = FlagDuration(usual.headerTimeout)

    @Option(
        help: FlagValues.help(
            "Time that a body which has begun may make no progress; silent gRPC streams are not cut.",
            FlagDuration(usual.progressTimeout)),
        transform: FlagValues.duration(from: least))
    var progressTimeout = FlagDuration(usual.progressTimeout)

    @Option(
        help: FlagValues.help(
            "Time that a client's connection without requests is kept.", FlagDuration(usual.idleTimeout)),
        transform: FlagValues.duration(from: least))
    var idleTimeout = FlagDuration(usual.idleTimeout)

    @Option(
        help: FlagValues.help(
            "Time that a client's connection takes requests, a tenth more or less; 0s: without end.",
            FlagDuration(usual.connectionAge ?? .zero)),
        transform: FlagValues.duration())
    var maxConnectionAge = FlagDuration(usual.connectionAge ?? .zero)

    @Option(
        help: FlagValues.help(
            "Silence of a client that waits for answers by HTTP/2, until PING asks whether it is there.",
            FlagDuration(usual.keepAlive)),
        transform: FlagValues.duration(from: least))
    var keepalive = FlagDuration(usual.keepAlive)

    @Option(
        help: FlagValues.help(
            "Time for a client to say anything after that PING.", FlagDuration(usual.keepAliveTimeout)),
        transform: FlagValues.duration(from: least))
    var keepaliveTimeout = FlagDuration(usual.keepAliveTimeout)

    @Option(
        help: FlagValues.help(
            "Time that a relayed connection (TCP, TLS passed through) is kept without an octet from either side.",
            FlagDuration(usual.relayIdleTimeout)),
        transform: FlagValues.duration(from: least))
    var relayIdleTimeout = FlagDuration(usual.relayIdleTimeout)

    @Option(
        help: FlagValues.help(
            "Time that a connection to an endpoint is kept without requests.", FlagDuration(usual.upstreamIdleTimeout)),
        transform: FlagValues.duration(from: least))
    var upstreamIdleTimeout = FlagDuration(usual.upstreamIdleTimeout)

    @Option(
        help: FlagValues.help(
            "Silence of an endpoint that owes answers by HTTP/2, until PING asks whether it is there.",
            FlagDuration(usual.upstreamKeepAlive)),
        transform: FlagValues.duration(from: least))
    var upstreamKeepalive = FlagDuration(usual.upstreamKeepAlive)

    @Option(
        help: FlagValues.help(
            "Time for an endpoint to say anything after that PING.", FlagDuration(usual.upstreamKeepAliveTimeout)),
        transform: FlagValues.duration(from: least))
    var upstreamKeepaliveTimeout = FlagDuration(usual.upstreamKeepAliveTimeout)

    @Option(
        help: "Clients' connections of the process; one more closes an idle one; default: by the limit of open files.",
        transform: FlagValues.number(1...16_000_000))
    var maxConnections: Int?

    @Option(
        help: "Clients' connections of one listening address; one more closes an idle one of it; default: no limit.",
        transform: FlagValues.number(1...16_000_000))
    var maxConnectionsPerListener: Int?

    @Option(
        help: FlagValues.help(
            "Connections of one worker to one endpoint; further requests wait.", usual.upstreamConnections),
        transform: FlagValues.number(1...1_000_000))
    var maxUpstreamConnections = usual.upstreamConnections

    @Option(
        help: FlagValues.help(
            "Requests of one worker that wait for a connection to one endpoint.", usual.waitingRequests),
        transform: FlagValues.number(1...1_000_000))
    var maxWaitingRequests = usual.waitingRequests

    @Option(
        help: FlagValues.help(
            "Time that a request waits for a connection to its endpoint.", FlagDuration(usual.waitingTimeout)),
        transform: FlagValues.duration(from: least))
    var waitingTimeout = FlagDuration(usual.waitingTimeout)

    @Option(
        help: FlagValues.help(
            "Streams reset in 30 s on a connection to an endpoint, until another takes its place.",
            usual.upstreamResets),
        transform: FlagValues.number(1...1_000_000))
    var maxUpstreamResets = usual.upstreamResets

    @Option(
        help: FlagValues.help(
            "Idle HTTP/1.1 connections of one worker to one endpoint.", usual.idleUpstreamConnections),
        transform: FlagValues.number(1...1_000_000))
    var maxIdleUpstreamConnections = usual.idleUpstreamConnections

    @Option(
        help: FlagValues.help(
            "Time for a client to close a connection that we have ended.", FlagDuration(usual.lingerTimeout)),
        transform: FlagValues.duration(from: least))
    var lingerTimeout = FlagDuration(usual.lingerTimeout)

    @Option(
        help: FlagValues.help(
            "Streams that an HTTP/2 client may have open at once on a connection.", usual.concurrentStreams),
        transform: FlagValues.number(GatewayAnnotations.concurrentStreams))
    var maxConcurrentStreams = usual.concurrentStreams

    /// The workers' limits, as the flags say them.
    func limits() -> Limits {
        var limits = Limits()
        limits.connectTimeout = connectTimeout.value
        limits.handshakeTimeout = handshakeTimeout.value
        limits.helloTimeout = helloTimeout.value
        limits.handshakesAtOnce = maxHandshakes
        limits.headerOctets = headerMemory?.count
        limits.memory = memory?.count
        limits.firstOctetsTimeout = firstOctetsTimeout.value
        limits.proxyHeaderTimeout = proxyHeaderTimeout.value
        limits.headerTimeout = headerTimeout.value
        limits.progressTimeout = progressTimeout.value
        limits.idleTimeout = idleTimeout.value
        limits.connectionAge = maxConnectionAge.value == .zero ? nil : maxConnectionAge.value
        limits.keepAlive = keepalive.value
        limits.keepAliveTimeout = keepaliveTimeout.value
        limits.relayIdleTimeout = relayIdleTimeout.value
        limits.upstreamIdleTimeout = upstreamIdleTimeout.value
        limits.upstreamKeepAlive = upstreamKeepalive.value
        limits.upstreamKeepAliveTimeout = upstreamKeepaliveTimeout.value
        limits.downstreamConnections = maxConnections
        limits.listenerConnections = maxConnectionsPerListener
        limits.upstreamConnections = maxUpstreamConnections
        limits.waitingRequests = maxWaitingRequests
        limits.waitingTimeout = waitingTimeout.value
        limits.upstreamResets = maxUpstreamResets
        limits.idleUpstreamConnections = maxIdleUpstreamConnections
        limits.lingerTimeout = lingerTimeout.value
        limits.concurrentStreams = maxConcurrentStreams
        return limits
    }
}
