internal import Manifests

// Reports fields that are not in effect yet and close the part that has them. The report is an error where requests
// reach that part, and a warning with the same words where none do, so that `check` fails only for what is served.

extension VirtualService {
    /// The report on a field of one of its HTTP rules.
    /// - Parameter delegate: the delegate that has the field, if it is one.
    func report(
        _ field: ClosingField, _ severity: Diagnostic.Severity, of delegate: ObjectReference? = nil
    ) -> Diagnostic {
        field.diagnostic(
            severity, "its requests are answered 503",
            hint: "without it they would be served: remove it if that is meant", object: delegate ?? meta.identity)
    }
}

extension DestinationRule {
    /// What is said of a field of its traffic policies: its host is closed.
    func report(_ field: ClosingField, _ names: Names, _ severity: Diagnostic.Severity) -> Diagnostic {
        let host = names.expanded(host.value, namespace: meta.namespace)
        return field.diagnostic(severity, "requests to \(host) are answered 503", object: meta.identity)
    }

    var closings: [ClosingField] {
        ([trafficPolicy] + subsets.map(\.trafficPolicy)).compactMap(\.self).flatMap { policy in
            policy.closings + policy.portLevel.flatMap(\.policy.closings)
        }
    }
}

extension Gateway {
    /// What is said of a field of one of its servers. That is always an error, because hosts lose their server.
    func report(_ field: ClosingField, of server: Server) -> Diagnostic {
        field.diagnostic(
            .error, "this server is not opened, and its hosts are served by no other server of the port",
            object: meta.identity)
    }
}

extension Gateway.Server {
    /// Whether it redirects to HTTPS, which only a server in clear text does.
    var redirects: Bool { port.protocol.isPlainHTTP && tls?.httpsRedirect == true }
}

extension Gateway.Server {
    /// Whether it ends the TLS of its connections.
    var terminatesTLS: Bool {
        switch tls?.mode {
        case .simple, .mutual, .optionalMutual, .istioMutual: true
        case .passthrough, .autoPassthrough, nil: false
        }
    }
}

extension ServiceEntry {
    /// What is said of one of its fields: all of its hosts are closed.
    func report(_ field: ClosingField, _ severity: Diagnostic.Severity) -> Diagnostic {
        let list = hosts.map(\.value).joined(separator: ", ")
        return field.diagnostic(severity, "requests to \(list) are answered 503", object: meta.identity)
    }
}

extension [AccessPolicy] {
    /// Why the whole gateway is closed: an access policy selects it by its labels, and policies are not in effect yet,
    /// so it is not known which requests are allowed. nil if there is none.
    func closing(_ names: Names, _ problems: Problems) -> Unavailable? {
        let places = [names.options.gatewayNamespace, names.options.rootNamespace]
        let own = filter {
            places.contains($0.identity.namespace) && Names.matches($0.selector, names.options.labels)
        }
        for policy in own {
            problems.add(
                Diagnostic(
                    .error, "not-in-effect",
                    (policy.selector.isEmpty
                        ? "\(policy.identity) cannot be read, and may select this gateway: "
                        : "\(policy.identity) is not in effect yet, and it selects this gateway: ")
                        + "all requests are answered 503",
                    hint: "without it they would be served: remove it if that is meant", at: policy.place,
                    object: policy.identity, path: "spec.selector"))
        }
        return own.first.map { .notInEffect("\($0.identity)") }
    }
}
