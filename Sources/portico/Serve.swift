internal import Admin
internal import ArgumentParser
internal import Control
internal import Logging
internal import Manifests
internal import Proxy
internal import Reactor
internal import Routing
internal import Telemetry

struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve the definitions.",
        discussion: """
            Every flag is also an environment variable, --listen-map is PORTICO_LISTEN_MAP. \
            SIGHUP reloads, SIGUSR2 upgrades to the binary that is installed now, \
            SIGTERM and SIGINT drain and exit 0, a second one exits at once.
            """)

    @Option(help: "Files, folders (*.yaml, *.yml, *.json, recursively) or - for standard input (repeatable).")
    var config: [String] = []

    @Option(
        help: "Worker threads; default: the cores this process may use.", transform: FlagValues.number(1...256))
    var workers: Int?

    @Option(help: "Address of the admin interface, such as 127.0.0.1:15000; off when not given.")
    var admin: String?

    @Option(help: "Address for health and metrics, such as 0.0.0.0:15021; off when not given.")
    var status: String?

    @Option(help: "A Gateway's port number and the port really bound, such as 443=8443 (repeatable).")
    var listenMap: [String] = []

    @Option(help: "Address for routes bound to the gateway mesh, such as 127.0.0.1:15001; off when not given.")
    var mesh: String?

    @OptionGroup var ending: EndingOptions

    @Option(
        help: FlagValues.help(
            "How long a load of the definitions may take; then it is given up and the last one stays.",
            FlagDuration(ControlOptions().loadLimit)),
        transform: FlagValues.duration())
    var loadLimit = FlagDuration(ControlOptions().loadLimit)

    @Option(help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel = "info"

    @Option(help: "Form of the access log: text (Istio's default format) or json.")
    var logFormat = OutputForm.text

    @Option(help: "on or off.")
    var accessLog = Definitions.Switch.on

    @Option(
        help: "on: gRPC calls that an endpoint in overload cannot answer before their deadline are refused at once.")
    var deadlineShedding = Definitions.Switch.on

    @Option(help: "on: core dumps hold the process's memory, with private keys and requests.")
    var coreDumpMemory = Definitions.Switch.off

    @Option(help: "A file of keys for TLS session tickets, which replicas share; default: each process has its own.")
    var tlsTicketKeys: String?

    @OptionGroup var definitions: Definitions

    @OptionGroup(title: "Kubernetes") var cluster: ClusterOptions

    @OptionGroup(title: "Status of objects") var writing: StatusOptions

    @OptionGroup(title: "Limits") var limits: LimitOptions

    /// The wiring, from top to bottom.
    func run() throws {
        var options = try controlOptions()
        let refused = definitions.endpointGuard
        options.compile.refusedEndpoint = refused.refusal
        options.compile.refusedRequestedEndpoint = refused.refusalOfRequested
        let log = try logger()
        let succession = try ending.succession(log)
        if workers == nil, case .predecessor(let count, _) = succession.inherited.giver { options.workers = count }
        let plan = writing.statusWriter ? writing.plan(namespace: definitions.namespace) : nil
        let watched = try cluster.source(defaultNamespace: definitions.namespace, status: plan) { isWarning, text in
            log.log(level: isWarning ? .warning : .info, "\(text)")
        }
        do throws(SystemError) {
            if coreDumpMemory == .off { CoreDumps.leaveOutMemory() }
            CrashReport.install(version: Portico.version)
            HeapMemory.keepLargeArraysApart()
            let signals = try Signals()
            let control = try ControlPlane(
                options: options, log: log, signals: signals, succession: succession, cluster: watched)
            let server = try AdminServer(
                status: try FlagValues.address(status, "--status"), admin: try FlagValues.address(admin, "--admin"),
                pages: AdminWiring.pages(of: control), inherited: succession.inherited,
                reached: { [metrics = control.metrics] in metrics.reached($0) })
            refused.protect([server.statusAddress, server.adminAddress].compactMap { $0 })
            try succession.attend(by: server, of: control)
            let obstacles = try control.run(
                wake: { if AdminServer.owns($0) { server.wake($0, now: .now()) } },
                wait: { server.wait(now: .now()) }, tick: { server.expire(now: .now()) })
            guard obstacles.isEmpty else {
                for obstacle in obstacles { log.critical("\(obstacle)") }
                throw SystemError("serve", on: "this configuration", code: 0)
            }
        } catch {
            if error.code != 0 { log.critical("\(error)") }
            throw ExitStatus.couldNotRun
        }
    }

    private func logger() throws -> Logger {
        guard let level = Logger.Level(rawValue: logLevel) else {
            throw ValidationError(
                "--log-level \(logLevel): one of \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        var logger = Logger(label: "portico") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = level
        return logger
    }

    private func controlOptions() throws -> ControlOptions {
        guard !config.isEmpty || cluster.isGiven else {
            throw ValidationError(
                "nothing to serve; name the definitions with --config PATH, or a cluster by --kubernetes")
        }
        guard !writing.statusWriter || cluster.isGiven else {
            throw ValidationError("--status-writer needs --kubernetes or --kubeconfig FILE")
        }
        var options = ControlOptions()
        options.paths = config
        options.workers = workers ?? min(Thread.availableCores(), 256)
        options.compile = try definitions.compileOptions()
        options.version = Portico.version
        options.accessLog = accessLog == .off ? .off : logFormat == .json ? .json : .text
        options.drain = ending.schedule
        options.upgradeLimit = ending.upgradeLimit.value
        options.loadLimit = loadLimit.value
        options.listenMap = try portMap()
        options.mesh = try FlagValues.address(mesh, "--mesh")
        options.meshIdentity = definitions.istioIdentity
        options.ticketKeys = tlsTicketKeys
        options.compile.includesMeshServices = mesh != nil
        options.limits = limits.limits()
        options.limits.shedsByDeadline = deadlineShedding == .on
        return options
    }

    private func portMap() throws -> [UInt16: UInt16] {
        var map: [UInt16: UInt16] = [:]
        for text in listenMap {
            let parts = text.split(separator: "=").map { UInt16($0) }
            guard parts.count == 2, let from = parts[0], let target = parts[1], from > 0, target > 0 else {
                throw ValidationError("--listen-map \(text): write GATEWAY-PORT=BOUND-PORT, such as 443=8443")
            }
            map[from] = target
        }
        return map
    }
}

extension Succession {
    /// Has the status and admin listeners follow a succession: while another gateway serves, that one answers them.
    fileprivate func attend(by server: AdminServer, of control: ControlPlane) throws(SystemError) {
        furtherSockets = { server.sockets }
        hasEnded = { server.stopListening() }
        let poller = control.sharedPoller
        if case .predecessor = inherited.giver {
            hasBegun = { () throws(SystemError) in try server.watch(poller) }
        } else {
            try server.watch(poller)
        }
    }
}
