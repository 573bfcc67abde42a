/// What people read of a finding. Facts of the balancers are those of docs/operations.md.
extension FrontFinding {
    /// What was seen: one sentence without a full stop.
    package var sentence: String {
        switch self {
        case .grpcOverHTTP1: "gRPC calls came over HTTP/1.1, which gRPC does not know"
        case .tlsOnClearText: "TLS came to a port in clear text"
        case .clearTextOnTLS: "HTTP in clear text came to a port of TLS"
        case .proxyHeaderUnexpected: "headers of the PROXY protocol came to a port that expects none"
        case .proxyHeaderMissing: "connections came without the header of the PROXY protocol that the port requires"
        case .proxyHeaderUntrusted: "peers that are not trusted have sent a header of the PROXY protocol, or owed one"
        case .withoutALPN: "clients of TLS offered no protocols (ALPN)"
        case .idleReset: "idle connections were ended by RST"
        case .idleClosed: "the peer closed idle connections before --idle-timeout was over"
        case .silentCut: "connections ended while their requests were silent"
        case .bareCheck: "connections said nothing and were closed at once, as health checks by TCP do"
        case .strayCheck: "health checks came to this port, and no route serves them"
        }
    }

    /// What it means for requests, in whole sentences.
    package var effect: String {
        switch self {
        case .grpcOverHTTP1:
            "A balancer in front speaks HTTP/1.1 to its targets. Calls with 'te: trailers' are served; all others are "
                + "refused with INTERNAL, because their answer would have no place for a status."
        case .tlsOnClearText:
            "None of these connections is served: they are answered 400, which a client of TLS reports as a wrong "
                + "version number or a bad record."
        case .clearTextOnTLS: "None of these requests is served: they are answered 400."
        case .proxyHeaderUnexpected:
            "None of these connections is served. Health checks by TCP do not notice: the target counts as healthy."
        case .proxyHeaderMissing: "None of these connections is served: they are closed."
        case .proxyHeaderUntrusted:
            "None of these connections is served: they are closed, as they might forge addresses."
        case .withoutALPN:
            "They get HTTP/1.1 unless they speak HTTP/2 without asking, and most clients of gRPC give up. A balancer "
                + "that makes its own TLS connections to targets does this; so do some old clients and health checks."
        case .idleReset:
            "A client that sends a request at this moment loses it. A balancer that forgets idle connections without "
                + "saying so answers with RST."
        case .idleClosed:
            "Harmless, if the time is that of clients. If it is a balancer's idle timeout, calls that are silent for "
                + "as long are cut too."
        case .silentCut:
            "These requests have failed (flag DC). If the times are alike, it is the idle timeout of a balancer, or of "
                + "clients; else clients have given up."
        case .bareCheck:
            "A check by TCP succeeds as long as the port is open. While the gateway drains, the balancer goes on "
                + "sending it connections."
        case .strayCheck: "The checks are answered 404, and the balancer may take the gateway for unhealthy."
        }
    }

    /// What to change, by balancer.
    package var fixes: [(balancer: String, text: String)] {
        switch self {
        case .grpcOverHTTP1: Self.passTCP
        case .tlsOnClearText: Self.matchTLS(isToTLS: true)
        case .clearTextOnTLS: Self.matchTLS(isToTLS: false)
        case .proxyHeaderUnexpected:
            [("all", "switch the PROXY protocol on here: --proxy-protocol PORT=require and --proxy-protocol-from")]
                + Self.proxyHeader(isOn: false)
        case .proxyHeaderMissing:
            Self.proxyHeader(isOn: true) + [("all", "or switch it off here: --proxy-protocol PORT=off")]
        case .proxyHeaderUntrusted:
            [("all", "name the balancer's networks with --proxy-protocol-from, and keep all others from the port")]
        case .withoutALPN: Self.passTCP
        case .idleReset, .idleClosed, .silentCut: Self.idleTime
        case .bareCheck, .strayCheck: Self.healthCheck
        }
    }

    private static let (classic, nlb, alb, clb) = ("classic ELB", "NLB", "ALB", "Tencent CLB")

    private static let passTCP = [
        (
            classic,
            "service.beta.kubernetes.io/aws-load-balancer-backend-protocol: tcp, without a certificate of its own"
        ),
        (nlb, "a TCP listener in front of a TCP target group; TLS ends in the gateway"),
        (alb, "a target group of the protocol version GRPC (or HTTP2) with an HTTPS listener, or an NLB"),
        (clb, "a listener of layer 4 (TCP), or at layer 7 a rule whose backend protocol is GRPC"),
    ]

    private static func matchTLS(isToTLS: Bool) -> [(balancer: String, text: String)] {
        guard isToTLS else {
            return [
                (classic, "aws-load-balancer-backend-protocol: tcp and no certificate of its own, so that TLS passes"),
                (nlb, "a TCP listener, not a TLS one with targets in TCP"),
                (alb, "a target group of the protocol HTTPS"),
                (clb, "a listener of TCP, or the backend protocol HTTPS"),
                ("all", "or send this port's traffic to one of the gateway's servers of the protocol HTTP"),
            ]
        }
        return [
            (classic, "backend-protocol tcp or ssl passes or makes TLS: send it to a port of the protocol HTTPS"),
            (nlb, "send a TCP or TLS target group to a port of the protocol HTTPS"),
            (alb, "a target group of the protocol HTTP, or a port of the protocol HTTPS"),
            (clb, "the backend protocol HTTP, or a port of the protocol HTTPS"),
            ("all", "the Service's targetPort may lead 443 to the port of HTTP: compare it with the Gateway's servers"),
        ]
    }

    private static func proxyHeader(isOn: Bool) -> [(balancer: String, text: String)] {
        let verb = isOn ? "set" : "or remove"
        return [
            (classic, "\(verb) service.beta.kubernetes.io/aws-load-balancer-proxy-protocol: \"*\""),
            (nlb, "\(verb) proxy_protocol_v2.enabled of the target group (aws-load-balancer-proxy-protocol: \"*\")"),
            (alb, "it never sends the header: read x-forwarded-for with --trusted-hops 1"),
            (clb, "it keeps the client's address and needs no header: --proxy-protocol off"),
        ]
    }

    private static let idleTime = [
        (classic, "service.beta.kubernetes.io/aws-load-balancer-connection-idle-timeout: \"3600\" (60 s without it)"),
        (nlb, "tcp.idle_timeout.seconds of the listener, at most 6000 (350 s without it)"),
        (alb, "idle_timeout.timeout_seconds of the balancer (60 s without it)"),
        (clb, "the listener's idle timeout; at layer 7 keepalive_timeout (75 s without it)"),
        ("all", "or have long calls send something more often: PING of gRPC clients, --keepalive here"),
    ]

    private static let healthCheck = [
        (classic, "an HTTP check of the status port (--status), path /healthz/ready"),
        (nlb, "aws-load-balancer-healthcheck-protocol: http, -port: the status port, -path: /healthz/ready"),
        (alb, "the target group's health check: the status port, path /healthz/ready"),
        (clb, "an HTTP health check of the status port, path /healthz/ready"),
        ("all", "with externalTrafficPolicy: Local the node answers the checks, by the pods' readiness"),
    ]
}
