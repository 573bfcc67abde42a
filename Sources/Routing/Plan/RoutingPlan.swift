package import Balancing
package import Manifests

/// The result of compiling one configuration. It is immutable and shared by all threads.
///
/// Thread: any. Freed by: the last load, snapshot or command that has it.
package final class RoutingPlan: Sendable {
    /// The ports to listen on.
    package let listeners: [ListenerPlan]
    /// The route tables to which listeners refer by index.
    package let tables: [RouteTable]
    /// The index is the cluster number that routes use.
    package let clusters: [ClusterPlan]
    /// The index is `Route.number`.
    package let routes: [Route]
    /// Problems that concern meaning: references, conflicts, rules that are never reached, and what was wrong with
    /// endpoints when the plan was compiled.
    package let diagnostics: [Diagnostic]
    /// Those that do not depend on endpoints.
    private let ownDiagnostics: [Diagnostic]
    private let questions: EndpointQuestions

    /// Whether the places of Nodes decide where requests go.
    package let needsNodes: Bool

    /// The names that DNS has to resolve for the plan, but for those that requests name and those of Services without
    /// any object that says where they are.
    package var names: Set<String> {
        var names: Set<String> = []
        for case .dns(let planned) in clusters.lazy.map(\.source) { names.formUnion(planned.lazy.map(\.host)) }
        return names
    }

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
        needsNodes = false
    }

    /// - Parameters:
    ///   - diagnostics: those that do not depend on endpoints, by place.
    ///   - found: what was found of the endpoints to begin with, by place.
    init(
        listeners: [ListenerPlan], tables: [RouteTable], clusters: [ClusterPlan], routes: [Route],
        diagnostics: [Diagnostic], questions: EndpointQuestions, found: [Diagnostic], needsNodes: Bool
    ) {
        self.needsNodes = needsNodes
        self.listeners = listeners
        self.tables = tables
        self.clusters = clusters
        self.routes = routes
        ownDiagnostics = diagnostics
        self.questions = questions
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
    /// The port number of the Gateway's server; 0 for the mesh listener.
    package let port: UInt16
    /// Whether it is the listener of `--mesh`, for routes bound to the reserved gateway `mesh`.
    package let isMesh: Bool
    /// The table of this port's plain HTTP servers, an index into `tables`; nil if there are none.
    package let clearTable: Int?
    /// The servers of this port that terminate TLS. No name occurs twice.
    package let chains: [TLSChain]
    /// How many streams a client may have open at once on a connection: the smallest number that a Gateway of this port
    /// asks for. nil is the limit of the process.
    package var concurrentStreams: UInt32?
    /// The route of all connections in clear text, whose octets are relayed: the port carries TCP. nil if there is
    /// none; `clearTable` is nil if there is one.
    package var clearRelay: Int?
    /// Connections that keep their TLS and are relayed, by server name. No name is one of `chains`, or occurs twice.
    package var passthroughs: [Passthrough] = []
    /// What stands in front of the port; nil: clients themselves.
    package var topology: GatewayTopology?
}

/// Server names of connections that are relayed without being decrypted.
package struct Passthrough: Sendable, Hashable {
    /// In lower case: names, `*.suffix`, or `*` alone, which is for every client, also without a server name.
    package let serverNames: [String]
    /// The number of a route; one that is unavailable closes the connections.
    package let route: Int
    /// The Gateway of the server, for messages.
    package let gateway: ObjectReference
}

/// A server that terminates TLS. It is chosen by the TLS server name and has a table of its own.
package struct TLSChain: Sendable, Hashable {
    /// In lower case: names, `*.suffix`, or `*` alone, which is for every client, also without a server name.
    package let serverNames: [String]
    /// Its certificates; of several, the client chooses by what it supports.
    package let certificates: [CertificateSource]
    /// The lowest version; nil is 1.2.
    package let minVersion: TLSVersion?
    /// The highest version; nil is 1.3.
    package let maxVersion: TLSVersion?
    /// The suites up to TLS 1.2, as they are written; empty is the default.
    package let cipherSuites: [CipherChoice]
    /// An index into `tables`; the table has no hosts if there is a `relay`.
    package let table: Int
    /// The Gateway of the server, for messages.
    package let gateway: ObjectReference
    /// Where the server is written.
    package let place: SourcePlace
    /// The route to which the decrypted octets are relayed, of a server that carries TCP; nil for HTTP.
    package var relay: Int?
    /// What clients have to show; nil: they are not asked.
    package var clients: ClientDemand?
    /// `ecdhCurves`: the key exchanges, by OpenSSL's names, in order of preference; empty is the default.
    package var groups: [String] = []
}

/// Where a certificate and its key come from.
package enum CertificateSource: Sendable, Hashable {
    case secret(namespace: String, name: String)
    case files(certificate: String, key: String)
    /// The files of Istio's agent.
    case mesh
    /// A name that this Gateway may not use, or that stands for no certificate. The plan's diagnostics say why.
    case refused(String)
}

/// A cipher suite, by the name that OpenSSL has for it.
package struct CipherChoice: Sendable, Hashable {
    /// OpenSSL's name.
    package let name: String
    /// Where it is written.
    package let place: SourcePlace
}

/// What the meaning of the objects depends on besides the objects: facts about this gateway, and limits.
package struct CompileOptions: Sendable {
    /// The labels that `Gateway.spec.selector` is compared with.
    package var labels = ["istio": "ingressgateway", "app": "istio-ingressgateway"]
    /// Where this gateway is; nil if nothing says so but `node`.
    package var locality: Locality?
    /// The Node that this gateway runs on, which says where it is if `locality` does not.
    package var node: String?
    /// The domain that completes short host names.
    package var clusterDomain = "cluster.local"
    /// The namespace that this gateway works in. Secrets and DestinationRules are looked up there, and `exportTo` is
    /// compared with it.
    package var gatewayNamespace = "default"
    /// The namespace of mesh-wide DestinationRules.
    package var rootNamespace = "istio-system"
    /// Whether the mesh table also serves every Service that no VirtualService names.
    package var includesMeshServices = false
    /// The largest number of matches of all rules. A VirtualService is compiled for each port of its Gateways, so many
    /// rules and many ports multiply.
    package var mostMatches = 1_000_000
    /// The largest number of hosts of all tables, for the same reason.
    package var mostHosts = 2_000_000
    /// The largest number of endpoints of all clusters. Many Services that each select many Pods multiply.
    package var mostEndpoints = 500_000
    /// What an endpoint is if requests must not be sent to it, as words for a message: this gateway's own listener, for
    /// example. nil if they may.
    package var refusedEndpoint: @Sendable (EndpointAddress) -> String? = { _ in nil }
    /// The same for addresses of names that requests choose, which whoever owns such a name decides.
    package var refusedRequestedEndpoint: @Sendable (EndpointAddress) -> String? = { _ in nil }
    /// What stands in front of the ports.
    package var topology = TopologyTerms()
    /// Ends a compilation early. Its plan must then not be used.
    package var limit = LoadLimit()

    /// Makes the options that hold without flags.
    package init() {}
}
