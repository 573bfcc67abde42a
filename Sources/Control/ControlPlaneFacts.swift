package import Balancing
package import Manifests
package import Routing

/// What others may know of the configuration in effect.
extension ControlPlane {
    /// What is wrong with the definitions in effect.
    package var diagnostics: [Diagnostic] { configuration.diagnostics }
    /// The routing plan in effect.
    package var plan: RoutingPlan { configuration.plan }
    /// The endpoints as they are known now.
    package var endpoints: EndpointTable { configuration.endpoints }
    /// What is known of the API server; nil: there is none.
    package var cluster: ClusterStatus? { feed?.source.status }
    /// What the health checks of an endpoint say; nil: it is not checked.
    package func health(of endpoint: EndpointState) -> HealthRecord? { configuration.health(of: endpoint) }
    /// The objects that the last load has read, with their places.
    package var objects: [LoadedObject] { configuration.loaded.objects }
}
