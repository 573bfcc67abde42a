internal import HTTP

/// The limits of a worker that an operator may set, once, at start: each but `turn` is a flag in
/// `portico/LimitOptions.swift`, which says what is accepted, and a row of docs/limits.md.
package struct Limits: Sendable {
    /// How long an endpoint may take to accept a connection.
    package var connectTimeout = Duration.seconds(10)
    /// How long a client's connection may take, from its first octet, for its TLS handshake, and in clear text
    /// for the octets that tell the protocol.
    package var handshakeTimeout = Duration.seconds(15)
    /// How long the first octets of a TLS connection may wait for the rest of the ClientHello.
    package var helloTimeout = Duration.seconds(5)
    /// TLS handshakes of one worker at a time; one more ends the oldest. Each needs about 45 kB.
    package var handshakesAtOnce = 1000
    /// Octets of header sections that a worker holds for its connections; beyond it new requests are refused.
    /// nil is 64 MiB, or a quarter of the memory's ceiling shared among the workers, where that is less
    /// (`ProcessBudget`).
    package var headerOctets: Int?
    /// How long a connection may say nothing at first. Load balancers open connections ahead; a classic
    /// one gives them up after 60 s.
    package var firstOctetsTimeout = Duration.seconds(75)
    /// How long a connection's header of the PROXY protocol may take: where it is required, from the beginning of the
    /// connection, else from its first octet. Source: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
    /// (§2), which asks for 3 s at least.
    package var proxyHeaderTimeout = Duration.seconds(5)
    /// How long a header section may take from its first octet to its last; no octet refreshes it.
    package var headerTimeout = Duration.seconds(10)
    /// How long a body that has begun may make no progress: the client sends nothing of a request that is not
    /// gRPC, the endpoint takes nothing of it, or the client takes nothing of its answer. Streams on which nobody
    /// has anything to say are not among these.
    package var progressTimeout = Duration.seconds(300)
    /// How long a client's connection without requests is kept.
    package var idleTimeout = Duration.seconds(3600)
    /// How long a client's connection takes requests, a tenth more or less; then it ends with those that it has. nil:
    /// without end.
    package var connectionAge: Duration? = Duration.seconds(1800)
    /// How long a client that waits for answers by HTTP/2 may say nothing until PING asks whether it is there.
    package var keepAlive = Duration.seconds(45)
    /// How long the client may then take to say anything.
    package var keepAliveTimeout = Duration.seconds(20)
    /// How long a connection that is relayed is kept while no octet comes, from either side. Source: Istio
    /// `DestinationRule.spec.trafficPolicy.connectionPool.tcp.idleTimeout`, its default.
    package var relayIdleTimeout = Duration.seconds(3600)
    /// How long a connection to an endpoint is kept without requests.
    package var upstreamIdleTimeout = Duration.seconds(60)
    /// How long an endpoint that owes answers by HTTP/2 may say nothing until PING asks whether it is there.
    package var upstreamKeepAlive = Duration.seconds(30)
    /// How long the endpoint may then take to say anything.
    package var upstreamKeepAliveTimeout = Duration.seconds(10)
    /// How long a client may take to close a connection that we have ended.
    package var lingerTimeout = Duration.seconds(1)
    /// Streams that a client may have open at once on a connection, 1 to 1,000,000; a Gateway's annotation wins.
    package var concurrentStreams = HTTP2Limits.usualConcurrentStreams
    /// Clients' connections of the whole process; nil is what the limit of open files allows (`ProcessBudget`).
    package var downstreamConnections: Int?
    /// Clients' connections of one listening address, of all workers; nil: only the process's limit holds.
    package var listenerConnections: Int?
    /// Connections of one worker to one endpoint. Further requests wait for one of them.
    package var upstreamConnections = 1024
    /// Requests of one worker that wait for a connection to one endpoint; one more is answered 503.
    package var waitingRequests = 10_000
    /// How long a request waits for a connection to the endpoint that was picked for it.
    package var waitingTimeout = Duration.seconds(15)
    /// Streams that we may reset on a connection to an endpoint in 30 s; then another takes its place.
    package var upstreamResets = 100
    /// Idle HTTP/1.1 connections of one worker to one endpoint; one more is closed.
    package var idleUpstreamConnections = 128
    /// Whether gRPC calls that an endpoint in overload cannot answer before their deadline are refused at once.
    package var shedsByDeadline = true

    /// What a turn does for one socket; no flag.
    package var turn = TurnLimits()

    /// Octets of resident memory that the process should stay below; nil is three quarters of what its container may
    /// have (`ProcessBudget`).
    package var memory: Int?

    /// The defaults of docs/limits.md.
    package init() {}
}
