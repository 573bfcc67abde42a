// Decodes connection pool, outlier detection and TLS of a DestinationRule. Source: Istio `TrafficPolicy`.

extension ConnectionPool {
    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        let tcp = mapping.field("tcp")
        let http = mapping.field("http")
        mapping.finish()
        if tcp == nil, http == nil {
            value.error("missing-field", "a connection pool has `tcp` or `http`")
        }
        if let tcp { readTCP(tcp) }
        if let http { readHTTP(http) }
    }

    private mutating func readTCP(_ value: Value) {
        guard var mapping = value.mapping() else { return }
        maxConnections = mapping.limit("maxConnections")
        connectTimeout = mapping.duration("connectTimeout")
        maxConnectionDuration = mapping.duration("maxConnectionDuration")
        tcpIdleTimeout = mapping.duration("idleTimeout", orZero: true)
        if var inner = mapping.mapping("tcpKeepalive") {
            keepalive = Keepalive(
                probes: inner.count("probes"), time: inner.duration("time"),
                interval: inner.duration("interval"))
            inner.finish()
        }
        mapping.finish()
    }

    private mutating func readHTTP(_ value: Value) {
        guard var mapping = value.mapping() else { return }
        http1MaxPendingRequests = mapping.limit("http1MaxPendingRequests")
        http2MaxRequests = mapping.limit("http2MaxRequests")
        maxRequestsPerConnection = mapping.limit("maxRequestsPerConnection")
        maxRetries = mapping.limit("maxRetries")
        idleTimeout = mapping.duration("idleTimeout")
        maxConcurrentStreams = mapping.limit("maxConcurrentStreams")
        useClientProtocol = mapping.bool("useClientProtocol") ?? false
        if let field = mapping.field("h2UpgradePolicy"), let name = field.string() {
            let names = ["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"]
            if !names.contains(name) { field.unknownName(name, among: names) }
            h2UpgradePolicy = name
            if name == "UPGRADE", useClientProtocol {
                field.error(
                    "conflicting-fields", "UPGRADE and `useClientProtocol` exclude each other")
            }
        }
        if var inner = mapping.mapping("http2KeepAlive") {
            let interval = inner.require("interval")?.duration()
            let timeout = inner.require("timeout")?.duration()
            inner.finish()
            if let interval, let timeout { http2KeepAlive = HTTP2KeepAlive(interval: interval, timeout: timeout) }
        }
        mapping.finish()
    }
}

extension Mapping {
    /// The value of a limit; 0 means no limit.
    fileprivate mutating func limit(_ name: StaticString) -> Int? {
        int(name, 0...Int(Int32.max)).flatMap { $0 == 0 ? nil : $0 }
    }
}

extension OutlierDetection {
    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        mapping.field("consecutiveErrors")?.warning(
            "deprecated", "`consecutiveErrors` has no effect", hint: "use consecutive5xxErrors")
        _ = mapping.int("consecutiveErrors", 0...Int(Int32.max))
        consecutive5xxErrors = mapping.count("consecutive5xxErrors")
        consecutiveGatewayErrors = mapping.count("consecutiveGatewayErrors")
        consecutiveLocalOriginFailures = mapping.count("consecutiveLocalOriginFailures")
        splitExternalLocalOriginErrors = mapping.bool("splitExternalLocalOriginErrors") ?? false
        interval = mapping.duration("interval")
        baseEjectionTime = mapping.duration("baseEjectionTime")
        maxEjectionPercent = mapping.int("maxEjectionPercent", 0...100)
        minHealthPercent = mapping.int("minHealthPercent", 0...100)
        errorCodes = mapping.elements("outlierDetectionHttpErrorCodes").compactMap { $0.int(100...599) }
        mapping.finish()
        if consecutiveLocalOriginFailures ?? 0 > 0, !splitExternalLocalOriginErrors {
            mapping.field("consecutiveLocalOriginFailures")?.error(
                "conflicting-fields",
                "`consecutiveLocalOriginFailures` needs `splitExternalLocalOriginErrors: true`")
        }
    }
}

extension UpstreamTLS {
    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        path = mapping.path
        let modeField = mapping.field("mode")
        mode = modeField?.name(of: Mode.self) ?? .disable
        if let modeField, modeField.raw.uppercased() != Mode.disable.rawValue {
            value.decoder.protections.append(
                ClosingField(modeField, in: value.path, decidingValue: modeField.raw))
        }
        clientCertificate = mapping.given("clientCertificate")
        privateKey = mapping.given("privateKey")
        caCertificates = mapping.given("caCertificates")
        credentialName = mapping.given("credentialName")
        sni = mapping.given("sni")
        subjectAltNames = mapping.strings("subjectAltNames")
        insecureSkipVerify = mapping.bool("insecureSkipVerify") ?? false
        caCrl = mapping.given("caCrl")
        mapping.finish()
        check(value)
        checkNames(&mapping)
    }

    private func check(_ value: Value) {
        let hasFiles = clientCertificate != nil || privateKey != nil || caCertificates != nil
        if credentialName != nil, hasFiles || caCrl != nil {
            value.error("conflicting-fields", "`credentialName` excludes the files")
        }
        if mode == .mutual, credentialName == nil, clientCertificate == nil || privateKey == nil {
            value.error(
                "missing-field", "MUTUAL needs a client certificate",
                hint: "credentialName, or clientCertificate and privateKey")
        }
        if mode == .istioMutual, hasFiles || credentialName != nil {
            value.error("conflicting-fields", "ISTIO_MUTUAL takes no certificate")
        }
        guard insecureSkipVerify, mode != .istioMutual else { return }
        let verifies =
            caCertificates != nil || !subjectAltNames.isEmpty
            || (mode == .simple && credentialName != nil)
        if verifies {
            value.error(
                "conflicting-fields",
                "`insecureSkipVerify` excludes what the certificate would be verified with")
        }
    }

    /// What the mode does not look at, and what cannot be a name.
    private func checkNames(_ mapping: inout Mapping) {
        if let sni {
            let octets = sni.value.utf8
            if octets.count > 253 || !octets.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) {
                mapping.field("sni")?.error(
                    "invalid-name", "this cannot be a server name", hint: "at most 253 characters of ASCII")
            }
        }
        let unused: [StaticString] =
            switch mode {
            case .simple: ["clientCertificate", "privateKey"]
            case .istioMutual: ["caCrl", "insecureSkipVerify"]
            case .disable, .mutual: []
            }
        for name in unused {
            mapping.field(name)?.warning("no-effect", "`\(name)` has no effect in the mode \(mode.rawValue)")
        }
    }
}
