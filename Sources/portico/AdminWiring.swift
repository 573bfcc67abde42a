internal import Admin
internal import Balancing
internal import Control
internal import Manifests
internal import Proxy
internal import Routing
internal import Synchronization
internal import Telemetry

/// The admin pages, and what they show of the control plane.
enum AdminWiring {
    /// All pages, bound to what they show.
    static func pages(of control: ControlPlane) -> [AdminPage] {
        [
            AdminPage(
                "/healthz/ready", .status, "200 when traffic may come, else 503 and the reason",
                .readiness { control.readiness }),
            AdminPage("/healthz/live", .status, "200 while the process works", .text { "live" }),
            AdminPage(
                "/metrics", .status, "metrics for Prometheus",
                .metrics { control.metrics.render(cluster: control.cluster?.metrics) }),
            AdminPage(
                "/routes", .admin, "listeners, hosts, rules and destinations",
                .formatted { form in
                    let (plan, endpoints) = (control.plan, control.endpoints)
                    return form == .json
                        ? plan.renderJSON(endpoints: endpoints) : plan.renderTree(endpoints: endpoints)
                }),
            AdminPage(
                "/endpoints", .admin, "clusters and their endpoints",
                .formatted { $0 == .json ? endpointsJSON(control) : endpointsText(control) }),
            AdminPage(
                "/config", .admin, "the objects in effect and their problems",
                .formatted { $0 == .json ? control.diagnostics.json : configurationText(control) }),
            AdminPage(
                "/kubernetes", .admin, "what is known of the API server",
                .formatted { ClusterPage(control.cluster).render($0) }),
            AdminPage(
                "/doctor", .admin, "mistakes of the load balancer in front, as listeners see them, and what to change",
                .formatted { DoctorPage(control.metrics.frontFindings).render($0) }),
            AdminPage(
                "/workers", .admin, "connections of clients and requests in progress, of each worker",
                .formatted { workers(control, as: $0) }),
            AdminPage("/reload", .admin, "reads the configuration again", .action { control.reload(done: $0) }),
        ]
    }

    private static func workers(_ control: ControlPlane, as format: AdminFormat) -> String {
        let rows = control.workerStatuses.enumerated().map { number, status in
            [
                ("worker", number), ("connections", status.downstreamConnections.load(ordering: .relaxed)),
                ("requests", status.activeExchanges.load(ordering: .relaxed)),
            ]
        }
        guard format == .json else {
            return rows.map { $0.map { "\($0.0)=\($0.1)" }.joined(separator: " ") + "\n" }.joined()
        }
        var json = JSONText()
        json.array(rows) { row, json in
            json.object { json in
                for (name, value) in row { json.field(name, value) }
            }
        }
        return json.text
    }

    private static func endpointsText(_ control: ControlPlane) -> String {
        var text = ""
        for cluster in control.snapshot?.clusters ?? [] {
            text += "\(cluster.name) \(cluster.balancing)\(usage(cluster))\n"
            let endpoints = cluster.endpoints
            let ejected = cluster.detector?.ejectedNames ?? []
            for endpoint in endpoints {
                let total = control.metrics.tries(to: endpoint)
                text += "  \(endpoint.name) active=\(endpoint.active) total=\(total)"
                text += otherAddress(of: endpoint).map { " or \($0)" } ?? ""
                text += ejected.contains(endpoint.name) ? " ejected" : ""
                text += healthText(endpoint, control).map { " health=\($0)\n" } ?? "\n"
            }
            if endpoints.isEmpty { text += "  no endpoint\n" }
        }
        return text
    }

    /// The endpoint's address of the other family; nil: it has none.
    private static func otherAddress(of endpoint: EndpointState) -> EndpointAddress? {
        endpoint.dual.map { $0.ipv4 == endpoint.address ? $0.ipv6 : $0.ipv4 }
    }

    /// What the checks of an endpoint say: `unchecked`, `passing` or `failing` and why; nil: it is not checked.
    private static func healthText(_ endpoint: EndpointState, _ control: ControlPlane) -> String? {
        guard let history = control.health(of: endpoint) else { return nil }
        return switch history.health {
        case .unknown: endpoint.health == .pending ? "unchecked, not used yet" : "unchecked"
        case .healthy: "passing"
        case .unhealthy: "failing, \(history.reason.printable)"
        }
    }

    /// What is in use of a cluster with limits.
    private static func usage(_ cluster: ClusterState) -> String {
        guard let usage = cluster.countedUsage else { return "" }
        return ClusterUsage.Resource.allCases.map { " \($0)=\(usage.count($0))" }.joined()
    }

    private static func endpointsJSON(_ control: ControlPlane) -> String {
        var json = JSONText()
        json.array(control.snapshot?.clusters ?? []) { cluster, json in
            json.object { json in
                json.field("cluster", cluster.name)
                json.field("policy", cluster.balancing)
                if let usage = cluster.countedUsage {
                    json.field("inUse", of: usage) { usage, json in
                        json.object { json in
                            for resource in ClusterUsage.Resource.allCases {
                                json.field("\(resource)", usage.count(resource))
                            }
                        }
                    }
                }
                let ejected = cluster.detector?.ejectedNames
                json.field("endpoints", of: cluster.endpoints) { endpoints, json in
                    json.array(endpoints) { endpoint, json in
                        json.object { json in
                            json.field("address", endpoint.name)
                            if let other = otherAddress(of: endpoint) { json.field("otherAddress", "\(other)") }
                            json.field("active", endpoint.active)
                            if let ejected { json.field("ejected", ejected.contains(endpoint.name)) }
                            if let health = healthText(endpoint, control) { json.field("health", health) }
                            json.field("total", Int(clamping: control.metrics.tries(to: endpoint)))
                        }
                    }
                }
            }
        }
        return json.text
    }

    /// What was loaded and what is wrong with it.
    private static func configurationText(_ control: ControlPlane) -> String {
        let paths = control.options.paths.joined(separator: " ")
        let found = control.diagnostics
        let errors = found.count { $0.severity == .error }
        let summary = "\(errors) errors, \(found.count { $0.severity == .warning }) warnings"
        let objects = control.objects.map { "\($0.identity) \($0.place)\n" }.joined()
        return "\(paths): \(summary)\n\(found.text)\(objects)"
    }
}
