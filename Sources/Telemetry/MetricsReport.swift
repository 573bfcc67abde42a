internal import Balancing
internal import Reactor
internal import TLS

/// Renders `Metrics`: families in a fixed order, sorted series, sums over all workers.
struct MetricsReport {
    private let metrics: Metrics
    private let control: Metrics.Control
    private let cluster: Metrics.Cluster?
    private var page = MetricsText()

    /// The largest number of series per endpoint; others are left out and counted in `portico_metrics_series_omitted`.
    private static let endpointLimit = 10_000

    init(metrics: Metrics, control: Metrics.Control, cluster: Metrics.Cluster?) {
        self.metrics = metrics
        self.control = control
        self.cluster = cluster
    }

    /// Renders all families. To be called once.
    mutating func render(usage: ProcessUsage) -> String {
        requests()
        connections()
        proxyHeaders()
        frontFindings()
        relays()
        failures()
        endpoints()
        configuration()
        if let cluster { kubernetes(cluster) }
        process(usage)
        return page.text
    }

    private mutating func requests() {
        var totals: [UInt64: UInt64] = [:]
        var durations: [UInt64: [UInt64]] = [:]
        for worker in control.workers {
            worker.requests.read { key, values in totals[key, default: 0] &+= values[0] }
            worker.durations.read { key, values in
                guard let sum = durations[key] else {
                    durations[key] = values
                    return
                }
                durations[key] = zip(sum, values).map { $0 &+ $1 }
            }
        }
        page.family("portico_requests_total", .counter, "Requests that ended.")
        for (packed, total) in totals.sorted(by: { $0.key < $1.key }) {
            let key = RequestKey(packed: packed)
            let labels = [
                ("route", routeName(Int(key.route))), ("code", key.statusLabel), ("grpc_status", key.grpcLabel),
            ]
            page.series("portico_requests_total", labels, total)
        }
        let active = gauge(opened: .requestsStarted, closed: .requestsEnded)
        page.single("portico_requests_active", .gauge, "Requests in progress.", active)
        page.family("portico_request_duration_seconds", .histogram, "Time from a request's first to its last octet.")
        for (route, values) in durations.sorted(by: { $0.key < $1.key }) {
            histogram("portico_request_duration_seconds", route: routeName(Int(route)), values)
        }
    }

    private mutating func histogram(_ name: String, route: String, _ values: [UInt64]) {
        var sum: UInt64 = 0
        for (index, label) in DurationBuckets.labels.enumerated() {
            sum &+= values[index]
            page.series(name + "_bucket", [("route", route), ("le", label)], sum)
        }
        let seconds = Double(values[DurationBuckets.count]) / 1_000_000_000
        page.series(name + "_sum", [("route", route)], seconds)
        page.series(name + "_count", [("route", route)], sum)
    }

    private mutating func kubernetes(_ cluster: Metrics.Cluster) {
        page.single(
            "portico_kubernetes_connected", .gauge, "1 while the API server answers, else 0.",
            cluster.unreachableSince == nil ? 1 : 0)
        page.single(
            "portico_kubernetes_unreachable_since_seconds", .gauge,
            "When the API server answered last, in Unix time; 0 while it answers.",
            UInt64(clamping: cluster.unreachableSince ?? 0))
        page.family("portico_kubernetes_objects", .gauge, "Objects that the API server has, by kind.")
        for count in cluster.objects {
            page.series("portico_kubernetes_objects", [("kind", count.label)], UInt64(clamping: count.value))
        }
        page.single(
            "portico_kubernetes_events_total", .counter, "Changes that the API server has sent.", cluster.events)
        page.single(
            "portico_kubernetes_last_change_seconds", .gauge, "When the API server sent the last change, in Unix time.",
            UInt64(clamping: cluster.lastChange ?? 0))
        if let status = cluster.status { self.status(status) }
    }

    private mutating func status(_ status: Metrics.StatusWrites) {
        page.single(
            "portico_status_leader", .gauge, "1 while this replica writes the status of objects, else 0.",
            status.leads ? 1 : 0)
        page.family("portico_status_writes_total", .counter, "Writes of the status of objects, and Events, by result.")
        page.series("portico_status_writes_total", [("result", "success")], status.written)
        page.series("portico_status_writes_total", [("result", "failure")], status.failed)
        page.single(
            "portico_status_contested", .gauge, "Objects that are left alone because another writer changes them back.",
            UInt64(clamping: status.contested))
        let lost = "portico_status_events_lost_total"
        page.family(lost, .counter, "Kubernetes Events that were never written, by the reason.")
        page.series(lost, [("reason", "lease")], status.eventsLostWithLease)
        page.series(lost, [("reason", "refused")], status.eventsRefused)
    }

    private mutating func connections() {
        page.family("portico_connections", .gauge, "Open connections.")
        for side in ConnectionSide.allCases {
            let open = gauge(opened: .downstreamOpened, closed: .downstreamClosed, offset: side.rawValue)
            page.series("portico_connections", [("side", "\(side)")], open)
        }
        page.family("portico_connections_total", .counter, "Connections ever opened.")
        for side in ConnectionSide.allCases {
            page.series("portico_connections_total", [("side", "\(side)")], sum(.downstreamOpened, side.rawValue))
        }
    }

    private mutating func proxyHeaders() {
        page.family(
            "portico_proxy_headers_total", .counter, "Connections that began where the PROXY protocol is expected.")
        for kind in ProxyHeaderKind.allCases {
            page.series(
                "portico_proxy_headers_total", [("kind", kind.label)],
                control.workers.reduce(0) { $0 &+ $1.value(kind) })
        }
    }

    private mutating func frontFindings() {
        page.family(
            "portico_front_findings_total", .counter, "What listeners tell of the load balancer in front of them.")
        for entry in FrontLedger.joined(control.workers.map(\.front)) {
            let labels = [("listener", entry.listener), ("finding", entry.finding.name)]
            page.series("portico_front_findings_total", labels, entry.count)
        }
    }

    private mutating func relays() {
        var endings: [Int: [ResponseFlag: UInt64]] = [:]
        var octets: [Int: (up: UInt64, down: UInt64)] = [:]
        for worker in control.workers {
            worker.relays.readEndings { route, flag, count in endings[route, default: [:]][flag, default: 0] &+= count }
            worker.relays.readOctets { route, up, down in
                octets[route, default: (0, 0)].up &+= up
                octets[route, default: (0, 0)].down &+= down
            }
        }
        page.family("portico_relays_total", .counter, "Relayed connections that ended, by the access log's flag.")
        for (route, flags) in endings.sorted(by: { $0.key < $1.key }) {
            for flag in ResponseFlag.allCases {
                guard let count = flags[flag] else { continue }
                page.series("portico_relays_total", [("route", routeName(route)), ("flag", flag.rawValue)], count)
            }
        }
        let active = control.workers.reduce(0) { $0 &+ $1.relays.active }
        page.single("portico_relays_active", .gauge, "Connections that are relayed now.", active)
        page.family(
            "portico_relay_bytes_total", .counter, "Octets that were relayed, up to endpoints or down to clients.")
        for (route, sum) in octets.sorted(by: { $0.key < $1.key }) {
            for (direction, count) in [("up", sum.up), ("down", sum.down)] {
                let labels = [("route", routeName(route)), ("direction", direction)]
                page.series("portico_relay_bytes_total", labels, count)
            }
        }
    }

    private mutating func failures() {
        page.family("portico_retries_total", .counter, "Requests sent again, by the reason.")
        for reason in RetryReason.allCases {
            page.series("portico_retries_total", [("reason", reason.label)], sum(.retries, reason.rawValue))
        }
        page.family(
            "portico_upstream_connect_failures_total", .counter, "Connections to endpoints that failed, by the reason.")
        for reason in ConnectFailure.allCases {
            page.series(
                "portico_upstream_connect_failures_total", [("reason", reason.label)],
                control.workers.reduce(0) { $0 &+ $1.value(reason) })
        }
        page.family(
            "portico_mirrored_requests_total", .counter, "Copies of requests for mirrors, by what became of them.")
        for result in MirrorResult.allCases {
            page.series(
                "portico_mirrored_requests_total", [("result", result.label)],
                control.workers.reduce(0) { $0 &+ $1.value(result) })
        }
        page.family("portico_limit_reached_total", .counter, "How often a limit was reached.")
        for limit in ReachedLimit.allCases {
            page.series(
                "portico_limit_reached_total", [("limit", limit.label)],
                control.workers.reduce(control.limits[limit.rawValue]) { $0 &+ $1.value(limit) })
        }
        refusals()
        page.single(
            "portico_access_log_dropped_total", .counter, "Access log lines that were lost.",
            metrics.logWriter?.dropped ?? 0)
        page.single(
            "portico_messages_dropped_total", .counter, "Warnings of the workers that were lost.",
            metrics.messageWriter?.dropped ?? 0)
    }

    private mutating func refusals() {
        page.single(
            "portico_tls_handshakes_active", .gauge, "TLS handshakes in progress.", sum(.handshakes))
        page.single(
            "portico_header_memory_bytes", .gauge, "What open requests hold of header sections.", sum(.headerOctets))
        page.single(
            "portico_accept_failures_total", .counter, "Connections that could not be accepted.",
            sum(.connection(.acceptFailed), .downstream))
        page.family(
            "portico_connections_refused_total", .counter, "Client connections closed for no violation of HTTP.")
        for reason in ConnectionRefusal.allCases where reason != .acceptFailed {
            let total = sum(.connection(reason), .downstream)
            page.series("portico_connections_refused_total", [("reason", reason.name)], total)
        }
        page.family("portico_tls_handshake_failures_total", .counter, "TLS handshakes of clients that failed.")
        for reason in HandshakeReason.allCases {
            let total = sum(.handshake(reason), .downstream)
            page.series("portico_tls_handshake_failures_total", [("reason", reason.name)], total)
        }
        page.family("portico_protocol_errors_total", .counter, "Breaches of HTTP, and messages beyond its limits.")
        for side in ConnectionSide.allCases {
            for refusal in Refusal.all where refusal.isOfHTTP {
                let labels = [("side", "\(side)"), ("reason", refusal.name)]
                page.series("portico_protocol_errors_total", labels, sum(refusal, side))
            }
        }
    }

    private mutating func endpoints() {
        page.family("portico_endpoints", .gauge, "Endpoints of each cluster.")
        var pairs: [(cluster: String, endpoint: EndpointState)] = []
        var all = 0
        for cluster in control.clusters {
            let labels = [("cluster", cluster.name), ("state", "ready")]
            let endpoints = cluster.endpoints
            let unavailable = cluster.detector.map { min($0.unavailableCount, endpoints.count) } ?? 0
            page.series("portico_endpoints", labels, UInt64(endpoints.count - unavailable))
            if let detector = cluster.detector, detector.detects {
                let ejected = UInt64(min(detector.totals.ejected, endpoints.count))
                page.series("portico_endpoints", [("cluster", cluster.name), ("state", "ejected")], ejected)
            }
            if cluster.healthCounts != nil {
                let unhealthy = UInt64(endpoints.count { $0.health != .available })
                page.series("portico_endpoints", [("cluster", cluster.name), ("state", "unhealthy")], unhealthy)
            }
            all += endpoints.count
            pairs += endpoints.prefix(Self.endpointLimit - pairs.count).map { (cluster.name, $0) }
        }
        clusterUsage()
        outliers()
        healthChecks()
        fates()
        page.family(
            "portico_endpoint_active_requests", .gauge, "Requests given to an endpoint that have not ended.")
        for (cluster, endpoint) in pairs {
            let active = UInt64(max(endpoint.active, 0))
            page.series("portico_endpoint_active_requests", Self.labels(cluster, endpoint), active)
        }
        page.family("portico_endpoint_requests_total", .counter, "Tries ever sent to an endpoint.")
        for (cluster, endpoint) in pairs {
            page.series("portico_endpoint_requests_total", Self.labels(cluster, endpoint), tries(to: endpoint))
        }
        page.single(
            "portico_metrics_series_omitted", .gauge, "Endpoints left out of these metrics for their number.",
            UInt64(max(all - Self.endpointLimit, 0)))
    }

    /// Of the clusters whose outliers are detected.
    private mutating func outliers() {
        let watched = control.clusters.compactMap { cluster in
            cluster.detector.flatMap { $0.detects ? (cluster.name, $0.totals) : nil }
        }
        page.family("portico_outlier_ejections_total", .counter, "Endpoints that were ejected, by the reason.")
        for (name, totals) in watched {
            for cause in EjectionCause.allCases {
                page.series(
                    "portico_outlier_ejections_total", [("cluster", name), ("reason", cause.rawValue)],
                    totals.ejections[cause] ?? 0)
            }
        }
        page.family(
            "portico_outlier_ejections_prevented_total", .counter, "Endpoints that were not ejected for too many were.")
        for (name, totals) in watched {
            page.series("portico_outlier_ejections_prevented_total", [("cluster", name)], totals.prevented)
        }
    }

    /// Of the Services whose endpoints are checked.
    private mutating func healthChecks() {
        page.family("portico_health_checks_total", .counter, "Health checks of endpoints that ended, by the result.")
        var known: Set<String> = []
        for counts in control.clusters.compactMap(\.healthCounts) where known.insert(counts.name).inserted {
            for (result, count) in [("passed", counts.passed), ("failed", counts.failed)] {
                page.series("portico_health_checks_total", [("service", counts.name), ("result", result)], count)
            }
        }
    }

    /// Of the clusters whose endpoints have failed a request.
    private mutating func fates() {
        let name = "portico_upstream_failures_total"
        page.family(name, .counter, "What became of requests that an endpoint has failed.")
        for cluster in control.clusters {
            let counts = cluster.tally.counts
            guard !counts.isZero else { continue }
            for fate in ClusterTally.Fate.allCases {
                page.series(name, [("cluster", cluster.name), ("fate", fate.label)], counts[fate])
            }
        }
    }

    /// Of the clusters that have limits.
    private mutating func clusterUsage() {
        page.family("portico_cluster_in_use", .gauge, "What a cluster with limits has in use, of all workers.")
        for cluster in control.clusters {
            guard let usage = cluster.countedUsage else { continue }
            for resource in ClusterUsage.Resource.allCases {
                let labels = [("cluster", cluster.name), ("resource", "\(resource)")]
                page.series("portico_cluster_in_use", labels, UInt64(max(usage.count(resource), 0)))
            }
        }
    }

    private mutating func configuration() {
        page.family("portico_reloads_total", .counter, "Reloads of the configuration.")
        for result in Metrics.ReloadResult.allCases {
            page.series("portico_reloads_total", [("result", "\(result)")], control.reloads[result.rawValue])
        }
        page.single(
            "portico_last_reload_timestamp_seconds", .gauge, "When a reload last succeeded.",
            UInt64(max(control.lastReload, 0)))
        page.family("portico_config_problems", .gauge, "Problems of the configuration in effect.")
        for count in control.problems {
            page.series("portico_config_problems", [("severity", count.label)], UInt64(max(count.value, 0)))
        }
        page.family("portico_config_objects", .gauge, "Objects that were read.")
        for count in control.objects {
            page.series("portico_config_objects", [("state", count.label)], UInt64(max(count.value, 0)))
        }
    }

    private mutating func process(_ usage: ProcessUsage) {
        let start = Double(metrics.startTime.seconds) + Double(metrics.startTime.nanoseconds / 1_000_000) / 1000
        let processor = Double(usage.processorNanoseconds) / 1_000_000_000
        page.single("process_cpu_seconds_total", .counter, "Processor time, user and system.", processor)
        page.single("process_resident_memory_bytes", .gauge, "Resident memory.", usage.residentOctets)
        page.single("process_virtual_memory_bytes", .gauge, "Virtual memory.", usage.virtualOctets)
        page.single("process_open_fds", .gauge, "Open file descriptors.", usage.openFiles)
        page.single("process_max_fds", .gauge, "Most file descriptors that may be open.", usage.openFilesLimit)
        page.single("process_start_time_seconds", .gauge, "When the process started.", start)
        page.single("portico_workers", .gauge, "Worker threads.", UInt64(control.workers.count))
        page.family("portico_build_info", .gauge, "1; the labels tell the build.")
        page.series("portico_build_info", [("version", metrics.version)], UInt64(1))
    }

    private func routeName(_ id: Int) -> String {
        id < control.routeNames.count ? control.routeNames[id] : control.routeNames[Metrics.otherRoute]
    }

    private func sum(_ counter: WorkerMetrics.Fixed, _ offset: Int = 0) -> UInt64 {
        control.workers.reduce(0) { $0 &+ $1.value(counter, offset) }
    }

    private func sum(_ gauge: WorkerMetrics.Gauge) -> UInt64 {
        control.workers.reduce(0) { $0 &+ $1.value(gauge) }
    }

    private func sum(_ refusal: Refusal, _ side: ConnectionSide) -> UInt64 {
        control.workers.reduce(0) { $0 &+ $1.value(refusal, side) }
    }

    /// How many are open: those that were opened less those that were closed. The two counters are read one after the
    /// other, so that more may seem closed than opened; the result is then 0.
    private func gauge(opened: WorkerMetrics.Fixed, closed: WorkerMetrics.Fixed, offset: Int = 0) -> UInt64 {
        let closed = sum(closed, offset)
        let opened = sum(opened, offset)
        return opened > closed ? opened - closed : 0
    }

    private func tries(to endpoint: EndpointState) -> UInt64 {
        control.workers.reduce(0) { $0 &+ $1.tries(endpoint: endpoint.number) } &- endpoint.countedBefore
    }

    private static func labels(_ cluster: String, _ endpoint: EndpointState) -> [(String, String)] {
        [("cluster", cluster), ("endpoint", endpoint.name)]
    }
}
