package import Manifests
package import Routing

/// What `check` says of certificates: the same that `serve` would.
package enum CertificateCheck {
    package static func diagnostics(of plan: RoutingPlan, inventory: Inventory) -> [Diagnostic] {
        var directory = CertificateDirectory()
        let secrets = Dictionary(inventory.secrets.map { ("\($0.meta.namespace)/\($0.meta.name)", $0) }) { first, _ in first }
        for listener in plan.listeners {
            for chain in listener.chains { _ = directory.context(of: chain, port: listener.port, secrets: secrets) }
        }
        return directory.diagnostics
    }
}
