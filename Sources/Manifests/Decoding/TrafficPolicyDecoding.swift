// Decodes connection pool, outlier detection and TLS of a DestinationRule. Source: Istio `TrafficPolicy`.

extension ConnectionPool {
    init?(_ value: Value) {
        guard var record = value.record() else { return nil }
        place = value.place
        let tcp = record.field("tcp")
        let http = record.field("http")
        record.finish()
        if tcp == nil, http == nil {
            value.error("missing-field", "a connection pool has `tcp` or `http`")
        }
        if let tcp { readTCP(tcp) }
        if let http { readHTTP(http) }
    }

    private mutating func readTCP(_ value: Value) {
        guard var record = value.record() else { return }
        maxConnections = record.limit("maxConnections")
        connectTimeout = record.duration("connectTimeout")
        maxConnectionDuration = record.duration("maxConnectionDuration")
        tcpIdleTimeout = record.duration("idleTimeout", orZero: true)
        if var inner = record.record("tcpKeepalive") {
            keepalive = Keepalive(
                probes: inner.count("probes"), time: inner.duration("time"),
                interval: inner.duration("interval"))
            inner.finish()
        }
        record.finish()
    }

    private mutating func readHTTP(_ value: Value) {
        guard var record = value.record() else { return }
        http1MaxPendingRequests = record.limit("http1MaxPendingRequests")
        http2MaxRequests = record.limit("http2MaxRequests")
        maxRequestsPerConnection = record.limit("maxRequestsPerConnection")
        maxRetries = record.limit("maxRetries")
        idleTimeout = record.duration("idleTimeout")
        maxConcurrentStreams = record.limit("maxConcurrentStreams")
        useClientProtocol = record.bool("useClientProtocol") ?? false
        if let field = record.field("h2UpgradePolicy"), let name = field.string() {
            let names = ["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"]
            if !names.contains(name) { field.unknownName(name, among: names) }
            h2UpgradePolicy = name
            if name == "UPGRADE", useClientProtocol {
                field.error(
                    "conflicting-fields", "UPGRADE and `useClientProtocol` exclude each other")
            }
        }
        if var inner = record.record("http2KeepAlive") {
            let interval = inner.require("interval")?.duration()
            let timeout = inner.require("timeout")?.duration()
            inner.finish()
            if let interval, let timeout { http2KeepAlive = HTTP2KeepAlive(interval: interval, timeout: timeout) }
        }
        record.finish()
    }
}

extension Record {
    /// The value of a limit; 0 means no limit.
    fileprivate mutating func limit(_ name: StaticString) -> Int? {
        int(name, 0...Int(Int32.max)).flatMap { $0 == 0 ? nil : $0 }
    }
}

extension OutlierDetection {
    init?(_ value: Value) {
        guard var record = value.record() else { return nil }
        place = value.place
        record.field("consecutiveErrors")?.warning(
            "deprecated", "`consecutiveErrors` has no effect", hint: "use consecutive5xxErrors")
        _ = record.int("consecutiveErrors", 0...Int(Int32.max))
        consecutive5xxErrors = record.count("consecutive5xxErrors")
        consecutiveGatewayErrors = record.count("consecutiveGatewayErrors")
        consecutiveLocalOriginFailures = record.count("consecutiveLocalOriginFailures")
        splitExternalLocalOriginErrors = record.bool("splitExternalLocalOriginErrors") ?? false
        interval = record.duration("interval")
        baseEjectionTime = record.duration("baseEjectionTime")
        maxEjectionPercent = record.int("maxEjectionPercent", 0...100)
        minHealthPercent = record.int("minHealthPercent", 0...100)
        errorCodes = record.elements("outlierDetectionHttpErrorCodes").compactMap { $0.int(100...599) }
        record.finish()
        if consecutiveLocalOriginFailures ?? 0 > 0, !splitExternalLocalOriginErrors {
            record.field("consecutiveLocalOriginFailures")?.error(
                "conflicting-fields",
                "`consecutiveLocalOriginFailures` needs `splitExternalLocalOriginErrors: true`")
        }
    }
}

extension UpstreamTLS {
    init?(_ value: Value) {
        guard var record = value.record() else { return nil }
        place = value.place
        path = record.path
        let modeField = record.field("mode")
        mode = modeField?.name(of: Mode.self) ?? .disable
        if let modeField, modeField.raw.uppercased() != Mode.disable.rawValue {
            value.decoder.protections.append(
                ClosingField(modeField, in: value.path, decidingValue: modeField.raw))
        }
        clientCertificate = record.given("clientCertificate")
        privateKey = record.given("privateKey")
        caCertificates = record.given("caCertificates")
        credentialName = record.given("credentialName")
        sni = record.given("sni")
        subjectAltNames = record.strings("subjectAltNames")
        insecureSkipVerify = record.bool("insecureSkipVerify") ?? false
        caCrl = record.given("caCrl")
        record.finish()
        check(value)
        checkNames(&record)
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
    private func checkNames(_ record: inout Record) {
        if let sni {
            let octets = sni.value.utf8
            if octets.count > 253 || !octets.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) {
                record.field("sni")?.error(
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
            record.field(name)?.warning("no-effect", "`\(name)` has no effect in the mode \(mode.rawValue)")
        }
    }
}
