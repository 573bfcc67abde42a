internal import HTTP

/// The limits of a worker that an operator may set, once, at start: each is a flag in `portico/LimitOptions.swift`,
/// which says what is accepted, and a row of docs/limits.md.
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
    package var headerOctets = 64 << 20
    /// How long a connection may say nothing at first. Load balancers open connections ahead; a classic
    /// one gives them up after 60 s.
    package var firstOctetsTimeout = Duration.seconds(75)
    /// How long a connection without requests is kept, of clients and to endpoints.
    package var idleTimeout = Duration.seconds(3600)
    /// How long a client may take to close a connection that we have ended.
    package var lingerTimeout = Duration.seconds(1)
    /// Streams that a client may have open at once on a connection, 1 to 1,000,000; a Gateway's annotation wins.
    package var concurrentStreams = HTTP2Limits.usualConcurrentStreams

    package init() {}
}
