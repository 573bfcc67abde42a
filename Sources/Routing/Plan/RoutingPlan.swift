package import Balancing
package import Manifests

/// What one configuration compiles to. Immutable, shared by all threads.
package final class RoutingPlan: Sendable {
    package let listeners: [ListenerPlan]
    package let tables: [RouteTable]
    /// The index is the cluster number that routes use.
    package let clusters: [ClusterPlan]
    /// The index is `Route.number`.
    package let routes: [Route]
    /// Problems of meaning: references, conflicts, rules that are never reached, and what was wrong with endpoints
    /// when it was compiled.
    package let diagnostics: [Diagnostic]
    /// Those that do not depend on endpoints.
    private let ownDiagnostics: [Diagnostic]
    private let questions: EndpointQuestions

    package init(
        listeners: [ListenerPlan] = [], tables: [RouteTable] = [], clusters: [ClusterPlan] = [],
        routes: [Route] = [], diagnostics: [Diagnostic] = []
    ) {
        self.listeners = listeners
        self.tables = tables
        self.clusters = clusters
        self.routes = routes
        self.diagnostics = diagnostics
        ownDiagnostics = diagnostics
        questions = EndpointQuestions()
    }

    /// - Parameters:
    ///   - diagnostics: those that do not depend on endpoints, by place.
    ///   - table: the endpoints to begin with.
    init(
        listeners: [ListenerPlan], tables: [RouteTable], clusters: [ClusterPlan], routes: [Route],
        diagnostics: [Diagnostic], questions: EndpointQuestions, table: EndpointTable
    ) {
        self.listeners = listeners
        self.tables = tables
        self.clusters = clusters
        self.routes = routes
        ownDiagnostics = diagnostics
        self.questions = questions
        let found = EndpointChecks(clusters: clusters, table: table).run(questions)
        self.diagnostics = diagnostics.merged(with: found)
    }

    /// The diagnostics with other endpoints.
    package func diagnostics(with table: EndpointTable) -> [Diagnostic] {
        ownDiagnostics.merged(with: EndpointChecks(clusters: clusters, table: table).run(questions))
    }
}

/// A port to listen on.
package struct ListenerPlan: Sendable, Hashable {
    /// An IP address or a `unix:` path; empty is every address.
    package let bind: String
    /// The Gateway's number; 0 for the mesh listener.
    package let port: UInt16
    /// The listener of `--mesh`, for routes bound to the reserved gateway `mesh`.
    package let isMesh: Bool
    /// The table of the plain HTTP servers of this port, an index into `tables`.
    package let clearTable: Int?
    /// The terminated TLS servers of this port, no name twice.
    package let chains: [TLSChain]
    /// Streams that a client may have open at once on a connection: the smallest that a Gateway of this port asks for.
    /// nil is the process's own limit.
    package var concurrentStreams: UInt32?
}

/// One TLS server: chosen by SNI, terminated, with a table of its own.
package struct TLSChain: Sendable, Hashable {
    /// In lower case: names, `*.suffix`, or `*` alone, which is every client, also without SNI.
    package let serverNames: [String]
    package let certificates: [CertificateSource]
    /// nil is 1.2.
    package let minVersion: TLSVersion?
    /// nil is 1.3.
    package let maxVersion: TLSVersion?
    /// For TLS 1.2, as written; empty is the library's default.
    package let cipherSuites: [CipherChoice]
    package let table: Int
    /// For messages: whose server this is, and where it is written.
    package let gateway: ObjectReference
    package let place: SourcePlace
}

/// Where a certificate and its key come from.
package enum CertificateSource: Sendable, Hashable {
    case secret(namespace: String, name: String)
    case files(certificate: String, key: String)
    /// A name that this Gateway may not use, or that stands for no certificate; the plan's diagnostics say why.
    case refused(String)
}

/// A cipher suite by OpenSSL's name.
package struct CipherChoice: Sendable, Hashable {
    package let name: String
    package let place: SourcePlace
}

/// What this gateway is, as far as the meaning of the objects depends on it.
package struct CompileOptions: Sendable {
    /// The labels that `Gateway.spec.selector` is compared with.
    package var labels = ["istio": "ingressgateway", "app": "istio-ingressgateway"]
    package var clusterDomain = "cluster.local"
    /// The namespace this gateway works in: Secrets, `exportTo` and DestinationRules look there.
    package var gatewayNamespace = "default"
    /// Where mesh-wide DestinationRules live.
    package var rootNamespace = "istio-system"
    /// Whether the mesh table also serves every Service that no VirtualService names.
    package var includesMeshServices = false
    /// Matches of all rules together. A VirtualService is compiled for each port of its Gateways: many
    /// rules times many ports would be the product of them.
    package var mostMatches = 1_000_000
    /// Hosts of all tables together, for the same reason.
    package var mostHosts = 2_000_000
    /// Endpoints of all clusters together: a Service for each of many routes that selects each of many pods
    /// would make the product of them.
    package var mostEndpoints = 500_000
    /// What an endpoint is, for a message, when it must not be sent to: this gateway's own listeners, for
    /// example. nil: it may.
    package var refusedEndpoint: @Sendable (EndpointAddress) -> String? = { _ in nil }
    /// Ends a compilation early; its plan is of no use then.
    package var limit = LoadLimit()

    package init() {}
}
