internal import Octets

// Decodes Gateways. Source: Istio `Gateway`.

extension Gateway {
    init?(_ meta: ObjectMeta, _ envelope: inout Mapping) {
        self.meta = meta
        topology = Topology(envelope)
        guard let value = envelope.require("spec"), var spec = value.mapping() else { return nil }
        selector = spec.stringMap("selector")
        if let list = spec.require("servers") {
            let entries = list.elements()
            if entries.isEmpty {
                list.error("missing-field", "a Gateway needs at least one server")
            }
            for entry in entries {
                let (server, isGood) = Self.server(entry)
                guard let server else { continue }
                if isGood { servers.append(server) } else { brokenServers.append(server) }
            }
            lacksServer = servers.count < entries.count
            Self.checkPortNames(entries)
        }
        spec.finish()
        envelope.finish()
    }

    /// One server, as far as it can be read. A server with an error is not opened.
    private static func server(_ value: Value) -> (Server?, isGood: Bool) {
        var server: Server?
        let isGood = value.decoder.contained(": this server is not opened") { server = Server(value) }
        return (server, isGood)
    }

    /// Reports a server whose port name an earlier server has, because port names are unique within a Gateway.
    private static func checkPortNames(_ entries: [Value]) {
        var seen: Set<String> = []
        for entry in entries {
            let tree = entry.decoder.tree
            guard let port = tree.value(of: "port", in: entry.node),
                let name = tree.value(of: "name", in: port), tree[name].isScalar
            else { continue }
            let text = tree.string(name)
            if !seen.insert(text).inserted {
                Value(decoder: entry.decoder, node: name).error(
                    "duplicate-name", "the port name `\(text)` is used twice in this Gateway",
                    hint: "port names are unique within a Gateway")
            }
        }
    }
}

extension Gateway.Server {
    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        let path = mapping.path
        let address = mapping.given("bind")
        bind = address
        let isUnix = address?.value.hasPrefix("unix:") ?? false
        let port = mapping.require("port").flatMap { Gateway.Port($0, isUnix: isUnix) }
        name = mapping.string("name")
        defaultEndpoint = mapping.string("defaultEndpoint")
        if defaultEndpoint?.isEmpty == false {
            mapping.field("defaultEndpoint")?.warning(
                "no-effect", "`defaultEndpoint` has no effect, in Istio neither", hint: "remove it")
        }
        hosts = Self.hosts(mapping.require("hosts"))
        let tls = mapping.field("tls").flatMap(Gateway.TLS.init)
        mapping.finish()
        if let bind, !Grammar.isAddress(bind.value), !Grammar.isUnixAddress(bind.value) {
            mapping.field("bind")?.error(
                "invalid-address", "`\(bind.value)` is neither an IP address nor a unix: path")
        }
        guard let port else { return nil }
        self.path = path
        self.port = port
        self.tls = tls
        place = value.place
        closings = value.closings
        check(&mapping)
    }

    private static func hosts(_ value: Value?) -> [Gateway.Host] {
        guard let value else { return [] }
        let entries = value.elements()
        if entries.isEmpty { value.error("missing-field", "a server needs at least one host") }
        return entries.compactMap(Gateway.Host.init)
    }

    private func check(_ mapping: inout Mapping) {
        let isEncrypted = port.protocol == .https || port.protocol == .tls
        guard let tls, let field = mapping.field("tls") else {
            if isEncrypted, mapping.field("tls") == nil {
                mapping.missing(
                    "tls",
                    hint: "\(port.protocol.rawValue) needs a certificate, "
                        + "for example tls: {mode: SIMPLE, credentialName: …}")
            }
            return
        }
        let name = port.protocol.rawValue
        if tls.httpsRedirect, !port.protocol.isPlainHTTP {
            field.warning(
                "no-effect", "`httpsRedirect` has no effect on a port of protocol \(name)")
        }
        if isEncrypted { return tls.checkCertificates(field, port.protocol) }
        if !port.protocol.isPlainHTTP {
            field.error("conflicting-fields", "a port of protocol \(name) takes no `tls`")
        } else if tls.mode != .passthrough || tls.hasCertificates {
            field.error(
                "conflicting-fields", "a port of protocol \(name) takes no certificate",
                hint: "write protocol: HTTPS")
        }
    }
}

extension Gateway.Port {
    /// - Parameter isUnix: whether the server listens on a path, which has the port number 0.
    fileprivate init?(_ value: Value, isUnix: Bool) {
        guard var mapping = value.mapping() else { return nil }
        let field = mapping.require("number")
        let number = field?.int(isUnix ? 0...65535 : 1...65535)
        if isUnix, let field, let number, number != 0 {
            field.error(
                "conflicting-fields", "a server on a unix: path has no port", hint: "write number: 0")
        }
        let name = mapping.require("name")?.string()
        let text = mapping.require("protocol")
        let known = text.flatMap(Self.protocolName)
        if mapping.int("targetPort", 0...65535) ?? 0 > 0 {
            mapping.field("targetPort")?.error(
                "deprecated", "`targetPort` has no effect in a Gateway", hint: "remove it")
        }
        mapping.finish()
        guard let field, let number, let name, let known else { return nil }
        if name.isEmpty { mapping.field("name")?.error("missing-field", "a port needs a name") }
        self.number = mapping.located(number, field)
        self.name = name
        self.protocol = known
    }

    /// The protocol of a name, in any case, as Istio reads it.
    static func protocolName(_ value: Value) -> PortProtocol? {
        guard let text = value.string() else { return nil }
        if let known = PortProtocol(rawValue: text.uppercased()) { return known }
        value.unknownName(text, among: PortProtocol.allCases.map(\.rawValue))
        return nil
    }
}

extension Gateway.Host {
    fileprivate init?(_ value: Value) {
        guard let text = value.string() else { return nil }
        place = value.place
        path = value.path
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        namespace = parts.count == 2 ? String(parts[0]) : nil
        host = parts.last.map(String.init) ?? ""
        if let namespace, namespace != "*", namespace != ".", !Grammar.isLabel(namespace) {
            value.error(
                "invalid-host", "`\(namespace)` cannot be the namespace of a host",
                hint: "a namespace, `.` or `*` stands before the /")
        }
        if !Self.isGatewayHost(host) {
            value.error("invalid-host", "`\(host)` is no host of a Gateway", hint: Self.hint(host))
        }
    }

    /// Whether a host is a name with a dot, `*`, `*.suffix`, or an IPv4 address.
    private static func isGatewayHost(_ host: String) -> Bool {
        if host == "*" || Grammar.isIPv4(host) { return true }
        let rest = host.hasPrefix("*.") ? host.dropFirst(2) : Substring(host)
        return host.contains(".") && Grammar.isFQDN(rest)
    }

    private static func hint(_ host: String) -> String {
        if host.contains(":") { return "write the host without a port" }
        if host.hasPrefix("*") { return "a wildcard is `*` or `*.` and a name" }
        return host.contains(".")
            ? "letters, digits, `-` and dots"
            : "write the full name, with a dot, or `*`"
    }
}

extension Gateway.TLS {
    /// The cipher suites that Istio allows in a Gateway, by OpenSSL's names.
    package static let cipherSuiteNames = [
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-RSA-AES256-SHA", "AES128-GCM-SHA256", "AES128-SHA", "AES256-GCM-SHA384", "AES256-SHA",
        "DES-CBC3-SHA",
    ]
}

extension Gateway.TLS {
    fileprivate init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        path = mapping.path
        let modeField = mapping.field("mode")
        let writtenMode = modeField?.name(of: Mode.self)
        mode = writtenMode ?? .passthrough
        httpsRedirect = mapping.bool("httpsRedirect") ?? false
        serverCertificate = mapping.given("serverCertificate")
        privateKey = mapping.given("privateKey")
        caCertificates = mapping.given("caCertificates")
        caCrl = mapping.given("caCrl")
        credentialName = mapping.given("credentialName")
        credentialNames = mapping.locatedStrings("credentialNames")
        caCertCredentialName = mapping.given("caCertCredentialName")
        tlsCertificates = mapping.elements("tlsCertificates").compactMap(
            Gateway.CertificateFiles.init)
        subjectAltNames = mapping.locatedStrings("subjectAltNames") { value, name in
            if name.isEmpty { value.error("missing-field", "a name is empty") }
        }.map(\.value)
        verifyCertificateSpki = Self.pins("verifyCertificateSpki", &mapping)
        verifyCertificateHash = Self.pins("verifyCertificateHash", &mapping)
        minVersion = Self.version("minProtocolVersion", &mapping)
        maxVersion = Self.version("maxProtocolVersion", &mapping)
        var seen: Set<String> = []
        cipherSuites = mapping.locatedStrings("cipherSuites") { value, suite in
            if !seen.insert(suite).inserted {
                value.warning("duplicate-name", "`\(suite)` is listed twice")
            } else if !Self.cipherSuiteNames.contains(suite) {
                value.warning(
                    "unknown-value", "`\(suite)` is no cipher suite that a Gateway can choose: it is left out",
                    hint: NearestName.find(suite, among: Self.cipherSuiteNames).map { "did you mean `\($0)`?" }
                        ?? "OpenSSL's names of TLS 1.2 suites")
            }
        }
        insecureSkipVerify = mapping.bool("insecureSkipVerify") ?? false
        ecdhCurves = Self.curves(&mapping)
        mapping.finish()
        if credentialNames.count > 2 {
            mapping.field("credentialNames")?.error("out-of-range", "at most two certificates")
        }
        checkVersions(&mapping)
        if mode == .autoPassthrough {
            modeField?.error(
                "not-applicable",
                "AUTO_PASSTHROUGH is for gateways between the clusters of one mesh, whose server names no client has",
                hint: "write PASSTHROUGH, and route by the server name in `tls` of a VirtualService")
        }
        // An unknown mode cannot be checked any further.
        if modeField != nil, writtenMode == nil { return nil }
    }

    private static func version(_ name: StaticString, _ mapping: inout Mapping) -> TLSVersion? {
        guard let field = mapping.field(name) else { return nil }
        guard let text = field.string(), text != "TLS_AUTO" else { return nil }
        if let version = TLSVersion(rawValue: text) { return version }
        field.unknownName(text, among: ["TLS_AUTO"] + TLSVersion.allCases.map(\.rawValue))
        return nil
    }

    private func checkVersions(_ mapping: inout Mapping) {
        let order = TLSVersion.allCases
        let lowest = minVersion.flatMap(order.firstIndex) ?? 2
        let highest = maxVersion.flatMap(order.firstIndex) ?? 3
        if lowest > highest {
            mapping.field("minProtocolVersion")?.error(
                "conflicting-fields", "the minimum version is above the maximum")
        }
        if lowest < 2, cipherSuites.isEmpty {
            mapping.field("minProtocolVersion")?.warning(
                "weak-tls", "TLS 1.0 and 1.1 need `cipherSuites` that allow them",
                hint: "prefer TLSV1_2 and up")
        }
    }

    fileprivate var hasCertificates: Bool {
        sources > 0 || hasFiles || caCertificates != nil || caCertCredentialName != nil
    }

    private var hasFiles: Bool { serverCertificate != nil || privateKey != nil }

    /// How many ways of giving a certificate are used. Half a pair of files counts as none, as in Istio.
    var sources: Int {
        [
            credentialName != nil, !credentialNames.isEmpty, !tlsCertificates.isEmpty,
            serverCertificate != nil && privateKey != nil,
        ].count(where: \.self)
    }

    /// Checks that the certificates are those that the mode needs or allows.
    fileprivate func checkCertificates(_ value: Value, _ name: PortProtocol) {
        switch mode {
        case .autoPassthrough: break
        case .passthrough:
            checkPassthrough(value, name)
        case .istioMutual:
            if hasCertificates {
                value.error("conflicting-fields", "ISTIO_MUTUAL takes no certificate")
            }
        case .simple, .mutual, .optionalMutual:
            checkSources(value)
            checkClients(value)
        }
    }

    private func checkPassthrough(_ value: Value, _ name: PortProtocol) {
        let isWritten = value.decoder.tree.value(of: "mode", in: value.node) != nil
        if hasCertificates && !isWritten {
            value.error(
                "missing-field", "`mode` is missing, and without it the certificate is not used",
                hint: "write mode: SIMPLE; the default is PASSTHROUGH")
        } else if hasCertificates {
            value.warning("conflicting-fields", "\(mode.rawValue) does not use the certificate")
        }
    }

    private func checkSources(_ value: Value) {
        if sources > 1 {
            value.error(
                "conflicting-fields", "the certificate is given in more than one way",
                hint: "keep one of credentialName, credentialNames, tlsCertificates "
                    + "and serverCertificate")
            return
        }
        if sources == 0, !hasFiles {
            value.error(
                "missing-field", "\(mode.rawValue) needs a certificate",
                hint: "credentialName, or serverCertificate and privateKey")
            return
        }
        if credentialName != nil || !credentialNames.isEmpty {
            if hasFiles {
                value.warning(
                    "no-effect", "beside a credential `serverCertificate` and `privateKey` are not used",
                    hint: "remove them")
            }
            return
        }
        if tlsCertificates.isEmpty && (serverCertificate == nil || privateKey == nil) {
            value.error(
                "missing-field", "serverCertificate and privateKey are both needed")
        }
        if mode != .simple && caCertificates == nil {
            value.error("missing-field", "\(mode.rawValue) needs `caCertificates`")
        }
        if mode == .simple && caCrl != nil {
            value.error("conflicting-fields", "SIMPLE asks for no client certificate: no `caCrl`")
        }
    }
}

extension Gateway.CertificateFiles {
    fileprivate init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        let certificate = mapping.located("serverCertificate")
        let key = mapping.located("privateKey")
        place = value.place
        caCertificates = mapping.located("caCertificates")
        mapping.finish()
        guard let certificate, let key else {
            value.error("missing-field", "serverCertificate and privateKey are both needed")
            return nil
        }
        serverCertificate = certificate
        privateKey = key
    }
}
