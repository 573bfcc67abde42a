package import Manifests
package import Routing

/// What `check` says of certificates: the same that `serve` would.
package enum CertificateCheck {
    package static func diagnostics(of plan: RoutingPlan, inventory: Inventory) -> [Diagnostic] {
        var directory = CertificateDirectory()
        let secrets = CertificateDirectory.byName(inventory.secrets)
        let files = CredentialFiles(of: plan)
        for listener in plan.listeners {
            for chain in listener.chains {
                _ = directory.context(of: chain, port: listener.port, secrets: secrets, files: files)
            }
        }
        return directory.diagnostics
    }
}
