package import Manifests
package import Routing

/// What `check` says of certificates: the same that `serve` would.
package enum CertificateCheck {
    /// What `portico check` says of the certificates of a plan; nothing is kept of their keys.
    /// - Parameter meshIdentity: as `ControlOptions.meshIdentity`.
    package static func diagnostics(
        of plan: RoutingPlan, inventory: Inventory, meshIdentity: String? = nil
    ) -> [Diagnostic] {
        var directory = CertificateDirectory(meshFolder: meshIdentity)
        _ = directory.contexts(of: plan, secrets: inventory.secrets)
        var upstreams = UpstreamTLSDirectory(meshFolder: meshIdentity)
        _ = upstreams.all(of: plan, secrets: inventory.secrets)
        return directory.diagnostics + upstreams.diagnostics
    }
}
