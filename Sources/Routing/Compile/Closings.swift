internal import Manifests

// What becomes of the requests of a part with a field that is not in effect yet. An error where requests
// come to it; the same words as a warning where none do, so that `check` fails for what is served alone.

extension VirtualService {
    func report(_ field: ClosingField, _ severity: Diagnostic.Severity) -> Diagnostic {
        field.diagnostic(
            severity, "its requests are answered 503",
            hint: "without it they would be served: remove it if that is meant", object: meta.identity)
    }

    func reportConnections(_ field: ClosingField, _ severity: Diagnostic.Severity) -> Diagnostic {
        field.diagnostic(severity, "its connections are not served", object: meta.identity)
    }
}

extension DestinationRule {
    func report(_ field: ClosingField, _ names: Names, _ severity: Diagnostic.Severity) -> Diagnostic {
        let host = names.expanded(host.value, namespace: meta.namespace)
        let isTLS = field.name.hasPrefix("tls.")
        return field.diagnostic(
            severity, "requests to \(host) are answered 503",
            hint: isTLS ? "write mode: DISABLE to send them in clear text" : nil, object: meta.identity)
    }

    /// All of its policies.
    var closings: [ClosingField] {
        ([trafficPolicy] + subsets.map(\.trafficPolicy)).compactMap(\.self).flatMap { policy in
            policy.closings + policy.portLevel.flatMap(\.policy.closings)
        }
    }
}

extension Gateway {
    func report(_ field: ClosingField, of server: Server) -> Diagnostic {
        let port = server.port.number.value
        return field.diagnostic(
            .error,
            server.redirects
                ? "requests for its hosts on port \(port) are answered 503, whichever Gateway's rules they would match"
                : "this server is not opened, and its hosts are served by no other server of the port",
            object: meta.identity)
    }
}

extension Gateway.Server {
    /// On an encrypted server there is nothing to redirect.
    var redirects: Bool { port.protocol.isPlainHTTP && tls?.httpsRedirect == true }
}

extension ServiceEntry {
    func report(_ field: ClosingField, _ severity: Diagnostic.Severity) -> Diagnostic {
        let list = hosts.map(\.value).joined(separator: ", ")
        return field.diagnostic(severity, "requests to \(list) are answered 503", object: meta.identity)
    }
}

extension [AccessPolicy] {
    /// A policy that selects this gateway by its labels closes all of it: who may come in is not known.
    func closing(_ names: Names, _ problems: Problems) -> Unavailable? {
        let places = [names.options.gatewayNamespace, names.options.rootNamespace]
        let own = filter {
            places.contains($0.identity.namespace) && Names.matches($0.selector, names.options.labels)
        }
        for policy in own {
            problems.add(
                Diagnostic(
                    .error, "not-in-effect",
                    "\(policy.identity) is not in effect yet, and it selects this gateway: "
                        + "all requests are answered 503",
                    hint: "without it they would be served: remove it if that is meant", at: policy.place,
                    object: policy.identity, path: "spec.selector"))
        }
        return own.first.map { .notInEffect("\($0.identity)") }
    }
}
