internal import Admin
internal import Balancing
internal import Control
internal import Manifests
internal import Proxy
internal import Routing
internal import Telemetry

/// What the admin pages show of the control plane.
enum AdminWiring {
    static func handlers(of control: ControlPlane) -> AdminHandlers {
        AdminHandlers(
            readiness: { control.readiness },
            metrics: { control.metrics.render() },
            routes: { form in
                let (plan, endpoints) = (control.plan, control.endpoints)
                return form == .json ? plan.renderJSON(endpoints: endpoints) : plan.renderTree(endpoints: endpoints)
            },
            endpoints: { $0 == .json ? endpointsJSON(control) : endpointsText(control) },
            configuration: { $0 == .json ? control.diagnostics.json : configurationText(control) },
            reload: { control.reload(done: $0) })
    }

    private static func endpointsText(_ control: ControlPlane) -> String {
        var text = ""
        for cluster in control.snapshot?.clusters ?? [] {
            text += "\(cluster.name) \(cluster.policy.rawValue)\n"
            let endpoints = cluster.endpoints
            for endpoint in endpoints {
                let total = control.metrics.tries(to: endpoint)
                text += "  \(endpoint.name) active=\(endpoint.active) total=\(total)\n"
            }
            if endpoints.isEmpty { text += "  no endpoint\n" }
        }
        return text
    }

    private static func endpointsJSON(_ control: ControlPlane) -> String {
        var json = JSONText()
        json.array(control.snapshot?.clusters ?? []) { cluster, json in
            json.object { json in
                json.field("cluster", cluster.name)
                json.field("policy", cluster.policy.rawValue)
                json.field("endpoints", of: cluster.endpoints) { endpoints, json in
                    json.array(endpoints) { endpoint, json in
                        json.object { json in
                            json.field("address", endpoint.name)
                            json.field("active", endpoint.active)
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
