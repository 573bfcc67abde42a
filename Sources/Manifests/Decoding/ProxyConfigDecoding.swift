// Decodes the annotation `proxy.istio.io/config`. Source: Istio `ProxyConfig`.

extension Gateway.Topology {
    /// The numbers of proxies that may be trusted.
    package static let trustedProxies = 0...100

    /// Reads the annotation of a Gateway; nil if it has none, says nothing of the topology, or has an error.
    init?(_ envelope: Mapping) {
        let tree = envelope.value.decoder.tree
        guard let metadata = tree.value(of: "metadata", in: envelope.value.node),
            let annotations = tree.value(of: "annotations", in: metadata),
            let node = tree.value(of: "proxy.istio.io/config", in: annotations),
            let decoder = NestedDocument.decoder(of: Value(decoder: envelope.value.decoder, node: node))
        else { return nil }
        place = envelope.value.decoder.place(node)
        var isThere = false
        decoder.saying(": the annotation is not in effect") {
            let root = Value(decoder: decoder, node: tree.root == Node.none ? Node.none : decoder.tree.root)
            if !root.isNull, var config = root.mapping() { isThere = read(&config) }
        }
        guard isThere, decoder.errorCount == 0 else { return nil }
    }

    private mutating func read(_ config: inout Mapping) -> Bool {
        let field = config.field("gatewayTopology")
        for name in Self.ofOthers {
            config.field(name)?.warning("no-effect", "`\(name)` has no effect on this gateway", hint: "remove it")
        }
        config.finish(unknown: .harmless)
        guard let field, var mapping = field.mapping() else { return false }
        trustedProxies = mapping.int("numTrustedProxies", Self.trustedProxies)
        if let mode = mapping.field("forwardClientCertDetails"), mode.string() != "UNDEFINED" {
            clientCertificate = mode.name(of: Gateway.ClientCertificateMode.self)
        }
        if let proxy = mapping.field("proxyProtocol"), let nothing = proxy.mapping() {
            expectsProxyHeader = true
            nothing.finish()
        }
        mapping.finish()
        return true
    }

    /// The other fields of `ProxyConfig`, which are about the proxy's process.
    private static let ofOthers: [StaticString] = [
        "configPath", "binaryPath", "serviceCluster", "tracingServiceName", "drainDuration", "parentShutdownDuration",
        "discoveryAddress", "statsdUdpAddress", "proxyAdminPort", "controlPlaneAuthPolicy", "customConfigFile",
        "statNameLength", "concurrency", "proxyBootstrapTemplatePath", "interceptionMode", "tracing", "sds",
        "envoyAccessLogService", "envoyMetricsService", "proxyMetadata", "runtimeValues", "statusPort", "extraStatTags",
        "terminationDrainDuration", "meshId", "readinessProbe", "proxyStatsMatcher", "holdApplicationUntilProxyStarts",
        "caCertificatesPem", "image", "privateKeyProvider", "proxyHeaders", "fileFlushInterval", "fileFlushMinSizeKb",
        "statsEvictionInterval",
    ]
}
