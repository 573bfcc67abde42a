internal import Manifests

/// Notes files that were made for a gateway in another namespace. Istio's files do not name the namespace that the
/// gateway works in: there it is the pod's, mostly `istio-system`; here it is `--namespace`. An operator who leaves the
/// flag out learns about it when the files mention another namespace.
struct GatewayNamespaceCheck {
    let inventory: Inventory
    let names: Names
    let problems: Problems

    /// Runs the check.
    /// - Parameter own: the Gateways that select this gateway.
    func run(_ own: [Gateway]) {
        let here = names.options.gatewayNamespace
        guard here == CompileOptions().gatewayNamespace, let first = own.first, matters(own),
            let (there, reason) = other(own)
        else { return }
        problems.add(
            Diagnostic(
                .note, "gateway-namespace",
                "\(reason), and this one works in namespace \(here): Secrets, exportTo and DestinationRules are "
                    + "looked up in \(here)",
                hint: "run with --namespace \(there); objects without a namespace then belong to \(there) too",
                at: first.meta.place, object: first.meta.identity, path: "metadata.namespace"))
    }

    /// Whether anything in the files depends on the namespace.
    private func matters(_ own: [Gateway]) -> Bool {
        let hasCredentials = own.contains { gateway in
            gateway.servers.contains { $0.tls?.credentialName != nil || $0.tls?.credentialNames.isEmpty == false }
        }
        return hasCredentials || inventory.virtualServices.contains { isPrivate($0.exportTo) }
            || inventory.destinationRules.contains { isPrivate($0.exportTo) }
            || inventory.serviceEntries.contains { isPrivate($0.exportTo) }
    }

    private func isPrivate(_ exportTo: [Located<String>]) -> Bool {
        !exportTo.isEmpty && !exportTo.contains { $0.value == "*" }
    }

    /// The namespace of the gateway that these files were written for.
    private func other(_ own: [Gateway]) -> (namespace: String, reason: String)? {
        let labels = names.options.labels
        let pods = inventory.pods.lazy.filter { Names.matches(labels, $0.meta.labels) }.map(\.meta)
        let gateways = inventory.services.lazy.filter { service in
            guard let selector = service.selector, !selector.isEmpty else { return false }
            return Names.matches(selector, labels)
        }.map(\.meta)
        let known = Set(pods.map(\.namespace)).union(gateways.map(\.namespace))
        if known.contains(names.options.gatewayNamespace) { return nil }
        if let there = known.min() {
            return (there, "the gateway with these labels runs in namespace \(there)")
        }
        let spaces = Set(own.map(\.meta.namespace))
        guard labels == CompileOptions().labels, spaces.count == 1, let there = spaces.first,
            Self.usual.contains(there) || there == names.options.rootNamespace
        else { return nil }
        return (there, "the labels are those of Istio's own gateway, which works in namespace \(there)")
    }

    /// The namespaces in which Istio's documents install a gateway.
    private static let usual: Set = ["istio-system", "istio-ingress", "istio-gateway", "istio-gateways"]
}
