internal import Manifests

/// Compiles Gateways, and the VirtualServices bound to them, to listeners and their tables.
struct ListenerCompiler {
    let inventory: Inventory
    let names: Names
    let problems: Problems
    let rules: RuleCompiler
    let attachments: GatewayAttachments
    let leftOut: LeftOutObjects
    let relays: RelayCompiler
    private(set) var listeners: [ListenerPlan] = []
    private(set) var tables: [RouteTable] = []
    /// By the place of a host in `attachments.hosts`: whether it found a server.
    private(set) var served: [Bool]
    private var hosts = 0    // of all tables
    /// How many hosts beyond the limit are still examined, so that their VirtualServices are reported.
    private var looksLeft: Int
    /// The hosts that objects have on each Gateway.
    let bound: BoundHosts
    private let annotations: GatewayAnnotations
    /// Who is in front of each port, by annotations and flags.
    let topologies: TopologyCompiler
    private let credentials: Credentials
    /// A VirtualService whose Gateways or hosts could not be read.
    private let unread: LeftOut?

    init(
        _ inventory: Inventory, names: Names, problems: Problems, rules: RuleCompiler,
        attachments: GatewayAttachments, bound: BoundHosts, leftOut: LeftOutObjects, clusters: ClusterTable
    ) {
        self.leftOut = leftOut
        self.inventory = inventory
        self.names = names
        self.problems = problems
        self.rules = rules
        self.attachments = attachments
        annotations = GatewayAnnotations(inventory.gateways, problems)
        topologies = TopologyCompiler(terms: names.options.topology, problems: problems)
        self.bound = bound
        relays = RelayCompiler(
            inventory.virtualServices, names: names, problems: problems, rules: rules, clusters: clusters, bound: bound)
        looksLeft = names.options.mostHosts
        unread = inventory.leftOut.first { $0.identity.kind == "VirtualService" }
        served = Array(repeating: false, count: attachments.hosts.count)
        credentials = Credentials(inventory, names: names, problems: problems, leftOut: leftOut)
    }

    /// Compiles the servers of a port to a listener. There is none if no server may be opened, or above port 65535.
    mutating func add(_ port: ServerMerger.Port) {
        var clear = TableAssembler()
        let topology = topologies.topology(of: port)
        // Behind proxies that say how the client came, a request may have been secure already.
        let isForwarded = (topology?.trustedHops ?? 0) > 0
        // A server that redirects and has an error opens no port, and no clear text on a port that is open.
        let redirecting = port.clear.isEmpty ? [] : (port.clear + port.broken).filter(\.server.redirects)
        let redirected = Redirected(redirecting, bound, most: names.options.mostHosts - hosts)
        for place in redirected.places { served[place] = true }
        for member in redirecting { redirect(member, redirected, onlyClear: isForwarded, &clear) }
        let open = port.clear.filter { $0.server.closings.isEmpty && (isForwarded || !$0.server.redirects) }
        for member in open { addHosts(of: member, isForwarded ? .nothing : redirected, .none, to: &clear) }
        let clearTable = redirecting.isEmpty && open.isEmpty ? nil : append(clear)
        let encrypted = port.encrypted.filter(terminates)
        let closed = ClosedNames(
            port.encrypted.filter { !$0.server.closings.isEmpty },
            broken: port.broken.filter { !$0.server.port.protocol.isPlainHTTP }, open: encrypted)
        let chains = encrypted.map { chain(of: $0, closed) }
        let clearRelay = clearRelay(of: port)
        let passthroughs = passthroughs(of: port, terminating: encrypted, hasClear: clearRelay != nil)
        let isOpen = clearTable != nil || clearRelay != nil || !chains.isEmpty || !passthroughs.isEmpty
        guard isOpen, let number = UInt16(exactly: port.number) else { return }
        listeners.append(
            ListenerPlan(
                bind: port.bind, port: number, isMesh: false, clearTable: clearTable, chains: chains,
                concurrentStreams: annotations.concurrentStreams(of: port), clearRelay: clearRelay,
                passthroughs: passthroughs, topology: topology))
    }

    /// Adds the listener of the reserved gateway `mesh`.
    mutating func addMesh(_ table: TableAssembler) {
        guard !table.isEmpty else { return }
        listeners.append(
            ListenerPlan(bind: "", port: 0, isMesh: true, clearTable: append(table), chains: []))
    }

    private mutating func append(_ table: TableAssembler) -> Int {
        tables.append(table.table(rules, problems))
        return tables.count - 1
    }

    /// Adds the virtual hosts of one server: for every VirtualService bound to its Gateway, the narrower names.
    private mutating func addHosts(
        of member: ServerMerger.Member, _ redirected: Redirected, _ closed: ClosedNames,
        to table: inout TableAssembler
    ) {
        var isUsed = false
        var isWhole = true
        for found in found(on: member, &isWhole) where !names.options.limit.isOver {
            for place in found.places { served[place] = true }
            hosts += found.names.count
            guard hosts <= names.options.mostHosts else {
                looksLeft -= found.names.count
                reportTooMany(inventory.virtualServices[found.service], member)
                isWhole = false
                continue
            }
            let ruleList = rules.ruleList(
                found.service, .gateway(member.key, port: member.server.port.number.value))
            guard !rules.ruleLists[ruleList].isEmpty else { continue }
            isUsed = true
            for host in found.names where !closed.covers(host) {
                guard let other = redirected.server(redirecting: host) else {
                    table.add(ruleList, host: host)
                    continue
                }
                reportRedirected(member, host, by: other)
            }
        }
        if refuseLeftOut(member, redirected, closed, &table) { isUsed = true }
        if !isWhole {
            isUsed = true
            table.closeRest(rules.closedRuleList(.tooManyHosts, member.gateway.meta.identity, member.server.place))
        }
        if !isUsed { reportUnused(member) }
    }

    /// The VirtualServices on a server's Gateway that have names on the server, and these names.
    private mutating func found(on member: ServerMerger.Member, _ isWhole: inout Bool) -> [GatewayHosts.Found] {
        guard looksLeft > 0 else {
            isWhole = false
            return []
        }
        let hosts = bound.hosts(of: member.gateway)
        if let end = bound.end {
            reportTooMany(inventory.virtualServices[end], member)
            isWhole = false
        }
        return hosts.found(on: member.server)
    }

    /// Lets the hosts of VirtualServices that have an error answer 503, after the rules that other VirtualServices have
    /// for them. A wider host must not get requests that the faulty object may have kept from it.
    private mutating func refuseLeftOut(
        _ member: ServerMerger.Member, _ redirected: Redirected, _ closed: ClosedNames,
        _ table: inout TableAssembler
    ) -> Bool {
        guard let services = leftOut.services[member.key] else { return false }
        let fitting = bound.leftOut(of: member.gateway).found(on: member.server)
        for found in fitting where !names.options.limit.isOver {
            let (object, names) = (services[found.service].object, found.names)
            hosts += names.count
            guard hosts <= self.names.options.mostHosts else {
                table.closeRest(rules.closedRuleList(.tooManyHosts, object.identity, object.place))
                break
            }
            let route = rules.addRoute(
                "\(object.identity.namespace)/\(object.identity.name)/error", clusters: [],
                unavailable: .leftOut("\(object.identity)"), object: object.identity, place: object.place)
            let ruleList = rules.addRuleList(RuleList(catchAlls: [Rule(matches: [RuleMatch()], route: route)]))
            for name in names where redirected.server(redirecting: name) == nil && !closed.covers(name) {
                table.add(ruleList, host: name)
            }
            problems.add(
                Diagnostic(
                    .note, "left-out",
                    "\(object.hint): requests for \(names.joined(separator: ", ")) that no other object's rule "
                        + "takes are answered 503",
                    at: object.place, object: object.identity))
        }
        return !fitting.isEmpty
    }

    private func reportTooMany(_ source: VirtualService, _ member: ServerMerger.Member) {
        problems.add(
            Diagnostic(
                .error, "too-many-hosts",
                "this VirtualService is not served on every port of its Gateways: counted for each port, all "
                    + "hosts are more than \(names.options.mostHosts); requests for its hosts are answered 503 there",
                hint: "bind fewer VirtualServices to Gateways of many ports", at: source.meta.place,
                object: source.meta.identity,
                related: [Diagnostic.Related(place: member.server.place, message: "the first port without it")]))
    }

    /// Redirects the names of a server that redirects, before all rules.
    /// - Parameter onlyClear: requests that were secure in front are left to the rules.
    private mutating func redirect(
        _ member: ServerMerger.Member, _ redirected: Redirected, onlyClear: Bool, _ table: inout TableAssembler
    ) {
        let route = rules.addRoute(
            "\(member.key)/httpsRedirect", clusters: [], unavailable: .redirectedToHTTPS,
            object: member.gateway.meta.identity, place: member.server.place)
        let insecure = RuleMatch(conditions: [Condition(.scheme, .exact("http"))])
        let ruleList = rules.addRuleList(
            onlyClear
                ? RuleList(rules: [Rule(matches: [insecure], route: route)])
                : RuleList(catchAlls: [Rule(matches: [RuleMatch()], route: route)]))
        let wanted = redirected.names(of: member)
        for name in wanted { table.add(ruleList, host: name) }
        hosts += wanted.count
        if !redirected.isWhole { table.closeRest(ruleList) }
    }

    private func reportRedirected(
        _ member: ServerMerger.Member, _ host: String, by other: ServerMerger.Member
    ) {
        let number = member.server.port.number
        problems.add(
            Diagnostic(
                .warning, "redirected-by-another",
                "requests for \(host) on port \(number.value) are redirected to HTTPS: "
                    + "\(other.gateway.meta.identity) asks for `httpsRedirect` of this host and port",
                at: number.place, object: member.gateway.meta.identity, path: number.path,
                related: [Diagnostic.Related(place: other.server.place, message: "the server that redirects")]))
    }

    private func reportUnused(_ member: ServerMerger.Member) {
        let number = member.server.port.number
        problems.add(
            Diagnostic(
                .warning, "listener-without-routes",
                "no VirtualService has a rule for this server of port \(number.value): "
                    + "its requests are answered 404",
                hint: unread?.hint ?? "a VirtualService names it as gateways: [\(member.key)]",
                at: number.place, object: member.gateway.meta.identity, path: number.path,
                related: unread?.related ?? []))
    }
}

// MARK: - TLS

extension ListenerCompiler {
    private mutating func chain(of member: ServerMerger.Member, _ closed: ClosedNames) -> TLSChain {
        var table = TableAssembler()
        let relay = relay(of: member)
        for (name, reason) in closed.names(under: member) where relay == nil {
            let route = rules.addRoute(
                "\(member.key)/closed", clusters: [], unavailable: reason,
                object: member.gateway.meta.identity, place: member.server.place)
            let ruleList = rules.addRuleList(RuleList(catchAlls: [Rule(matches: [RuleMatch()], route: route)]))
            table.add(ruleList, host: name)
        }
        if relay == nil { addHosts(of: member, .nothing, closed, to: &table) }
        let tls = member.server.tls
        return TLSChain(
            serverNames: Self.serverNames(of: member),
            certificates: certificates(of: member),
            minVersion: tls?.minVersion, maxVersion: tls?.maxVersion,
            cipherSuites: tls?.cipherSuites.map { CipherChoice(name: $0.value, place: $0.place) } ?? [],
            table: append(table),
            gateway: member.gateway.meta.identity, place: member.server.place, relay: relay,
            clients: tls.flatMap { credentials.clients(of: $0, gateway: member.gateway.meta.identity) },
            groups: tls?.ecdhCurves ?? [])
    }

    private func certificates(of member: ServerMerger.Member) -> [CertificateSource] {
        guard let tls = member.server.tls else { return [] }
        if tls.mode == .istioMutual { return [.mesh] }
        let names = tls.credentialName.map { [$0] } ?? tls.credentialNames
        if !names.isEmpty {
            return names.map { credentials.source($0, gateway: member.gateway.meta.identity) }
        }
        if !tls.tlsCertificates.isEmpty {
            return tls.tlsCertificates.map {
                .files(certificate: $0.serverCertificate.value, key: $0.privateKey.value)
            }
        }
        guard let certificate = tls.serverCertificate, let key = tls.privateKey else { return [] }
        return [.files(certificate: certificate.value, key: key.value)]
    }
}
