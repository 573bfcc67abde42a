package import HTTP
package import TLS

/// Every reason to turn something down before it is a request, or while it is read. Counters and log lines
/// (Proxy's `Refusals`) use this one list. HTTP and TLS define their own reasons, with names, sentences and sources;
/// the reasons of a connection itself are defined here.
package enum Refusal: Equatable, Sendable {
    case connection(ConnectionRefusal)
    case handshake(HandshakeReason)
    case http1(HTTP1Error)
    case http2(HTTP2Violation)

    /// All reasons, in the order of the counters.
    package static let all: [Refusal] =
        ConnectionRefusal.allCases.map { .connection($0) } + HandshakeReason.allCases.map { .handshake($0) }
        + HTTP1Error.allCases.map { .http1($0) } + HTTP2Violation.allCases.map { .http2($0) }

    /// Its place in `all`.
    package var index: Int {
        switch self {
        case .connection(let reason): reason.rawValue
        case .handshake(let reason): Self.firstHandshake + reason.rawValue
        case .http1(let error): Self.firstHTTP1 + error.rawValue
        case .http2(let violation): Self.firstHTTP2 + violation.rawValue
        }
    }

    private static let firstHandshake = ConnectionRefusal.allCases.count
    private static let firstHTTP1 = firstHandshake + HandshakeReason.allCases.count
    private static let firstHTTP2 = firstHTTP1 + HTTP1Error.allCases.count

    /// Whether it is a breach of HTTP/1.1 or HTTP/2.
    var isOfHTTP: Bool {
        switch self {
        case .http1, .http2: true
        default: false
        }
    }

    /// Its label in metrics.
    package var name: String {
        switch self {
        case .connection(let reason): reason.name
        case .handshake(let reason): reason.name
        case .http1(let error): error.details.description
        case .http2(let violation): violation.name
        }
    }

    /// One sentence that explains it, without a full stop.
    package var sentence: String {
        switch self {
        case .connection(let reason): reason.sentence
        case .handshake(let reason): reason.sentence
        case .http1(let error): "\(error.sentence) (\(error.source))"
        case .http2(let violation): "\(violation.sentence) (\(violation.source))"
        }
    }

    /// Its flag in the access log. A client whose server name fits no server gets the flag that Envoy has for it, and
    /// one whose request the gateway has no memory for has broken no rule.
    package var flag: ResponseFlag {
        switch self {
        case .handshake(.noServerName), .handshake(.unknownServerName): .noRoute
        case .connection: .none
        case .http1(.headerMemory): .overload
        case .http2(let violation) where violation.isLackOfMemory: .overload
        default: .clientProtocolError
        }
    }

    /// Its RESPONSE_CODE_DETAILS in the access log.
    /// - Parameter reason: the reason that OpenSSL or the client gives; may be empty.
    package func details(_ reason: String) -> String {
        switch self {
        case .handshake(.noServerName), .handshake(.unknownServerName): "filter_chain_not_found"
        case .handshake: "tls_handshake_failed{\(reason.isEmpty ? name : "\(name)|\(reason)")}"
        default: reason.isEmpty ? name : "\(name){\(reason)}"
        }
    }
}

/// Why a connection was ended, whatever its protocol.
package enum ConnectionRefusal: Int, Sendable, CaseIterable {
    case acceptFailed
    case listenerClosed
    case silent
    case prefaceTimedOut
    case headersTimedOut
    case brokenTLS
    case evicted
    case proxyHeaderMissing, proxyHeaderMalformed, proxyHeaderTooLong, proxyHeaderChecksum, proxyHeaderUntrusted
    case proxyHeaderTimedOut, proxyHeaderCut
    case proxyHeaderUnexpected

    var name: String {
        switch self {
        case .acceptFailed: "accept_failed"
        case .listenerClosed: "listener_closed"
        case .silent: "first_octets_timeout"
        case .prefaceTimedOut: "preface_timeout"
        case .headersTimedOut: "headers_timeout"
        case .brokenTLS: "tls_stream_broken"
        case .evicted: "too_many_connections"
        case .proxyHeaderMissing: "proxy_header_missing"
        case .proxyHeaderMalformed: "proxy_header_malformed"
        case .proxyHeaderTooLong: "proxy_header_too_long"
        case .proxyHeaderChecksum: "proxy_header_checksum"
        case .proxyHeaderUntrusted: "proxy_header_untrusted"
        case .proxyHeaderTimedOut: "proxy_header_timeout"
        case .proxyHeaderCut: "proxy_header_cut"
        case .proxyHeaderUnexpected: "proxy_header_unexpected"
        }
    }

    var sentence: String {
        switch self {
        case .acceptFailed: "a connection could not be accepted, mostly for want of file descriptors"
        case .listenerClosed: "a connection came while its listener was being closed"
        case .silent: "a connection said nothing for too long"
        case .headersTimedOut: "a header section began and was not complete in time"
        case .brokenTLS: "a record of TLS is damaged or out of turn, or the client said so of one of ours"
        case .evicted:
            "a connection without requests had to make room for a new one; raise --max-connections, or --memory"
        case .prefaceTimedOut: "a connection's first octets were too few to tell its protocol, and no more came"
        case .proxyHeaderMissing:
            "a connection began without a header of the PROXY protocol, which its port requires"
        case .proxyHeaderMalformed: "a connection's header of the PROXY protocol is malformed"
        case .proxyHeaderTooLong: "a connection's header of the PROXY protocol is longer than 107 or 4112 octets"
        case .proxyHeaderChecksum: "the checksum of a connection's header of the PROXY protocol is wrong"
        case .proxyHeaderUntrusted:
            "a peer outside --proxy-protocol-from sent a header of the PROXY protocol, or owed one"
        case .proxyHeaderTimedOut: "a connection's header of the PROXY protocol was not complete in time"
        case .proxyHeaderCut: "a connection ended within its header of the PROXY protocol"
        case .proxyHeaderUnexpected:
            "a connection to a port of TLS began with a header of the PROXY protocol, which nobody expects there"
        }
    }
}

extension HandshakeReason {
    /// Its label in metrics.
    package var name: String {
        switch self {
        case .noServerName: "no_server_name"
        case .unknownServerName: "unknown_server_name"
        case .protocolVersion: "protocol_version"
        case .noSharedCipher: "no_shared_cipher"
        case .plainHTTP: "plain_http"
        case .notTLS: "not_tls"
        case .certificate: "certificate"
        case .noClientCertificate: "no_client_certificate"
        case .untrustedClient: "untrusted_client_certificate"
        case .expiredClient: "client_certificate_not_valid_now"
        case .revokedClient: "client_certificate_revoked"
        case .clientName: "client_certificate_name"
        case .clientPin: "client_certificate_pin"
        case .clientAlert: "client_alert"
        case .timedOut: "timed_out"
        case .closed: "closed"
        case .tooMany: "too_many"
        case .other: "other"
        }
    }

    /// One sentence that explains it, without a full stop.
    package var sentence: String {
        switch self {
        case .noServerName: "the client named no server (SNI), and no server with the host '*' is configured"
        case .unknownServerName: "no server of this port has the name that the client asked for (SNI)"
        case .protocolVersion: "the client does not speak a version of TLS that the server allows"
        case .noSharedCipher: "client and server have no cipher suite, group or signature algorithm in common"
        case .plainHTTP: "the client speaks clear-text HTTP to a TLS port; it should call https://"
        case .notTLS: "the client speaks neither TLS nor HTTP"
        case .certificate: "the client refused the certificate, mostly because it does not trust its issuer"
        case .noClientCertificate: "the client showed no certificate, and the server requires one (tls.mode: MUTUAL)"
        case .untrustedClient: "the client's certificate was issued by no authority of the server's caCertificates"
        case .expiredClient: "the client's certificate, or one of its issuers', has expired or is not valid yet"
        case .revokedClient: "the client's certificate is revoked, or the revocation list (caCrl) cannot tell"
        case .clientName: "the client's certificate has none of the names of subjectAltNames"
        case .clientPin: "neither verifyCertificateSpki nor verifyCertificateHash lists the client's certificate"
        case .clientAlert: "the client gave up"
        case .timedOut: "the handshake was not complete in time"
        case .closed: "the client was gone before the handshake was complete"
        case .tooMany: "too many handshakes at a time; this was the oldest"
        case .other: "the handshake failed"
        }
    }
}
