import Balancing
import Manifests
import Octets
import Routing

/// The set-up that most cases share: this gateway works in namespace `gwns`; Gateway
/// `gwns/gw` has one server, port 80, HTTP, hosts `*`; Services `a` and `b` live in `app`, each with one
/// port 8080 named http and a ready endpoint.
struct World {
    private let compiled: Compiled
    var plan: RoutingPlan { compiled.plan }
    var endpoints: EndpointTable { compiled.endpoints }
    var tree: String { compiled.tree }
    var json: String { compiled.json }
    let decoded: ManifestSet

    static let gateway = gateway(
        "gw", "{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}")
    static let services = service("a", "10.0.0.1") + service("b", "10.0.0.2")

    /// - Parameters:
    ///   - objects: what the case adds.
    ///   - gateways: the Gateways; by default `gwns/gw`.
    ///   - adjust: changes the options.
    init(
        _ objects: String, gateways: String = gateway, services: String = services,
        adjust: (inout CompileOptions) -> Void = { _ in }
    ) {
        decoded = ManifestReader.load(
            sources: [("case.yaml", Array((gateways + services + objects).utf8))])
        var options = CompileOptions()
        options.labels = ["istio": "ingressgateway", "app": "edge"]
        options.gatewayNamespace = "gwns"
        adjust(&options)
        compiled = Compiled(decoded.inventory, options)
    }

    static func gateway(
        _ name: String, _ servers: String, namespace: String = "gwns", created: String = ""
    ) -> String {
        """
        ---
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: \(name), namespace: \(namespace)\(stamp(created))}
        spec: {selector: {istio: ingressgateway}, servers: [\(servers)]}

        """
    }

    static func service(
        _ name: String, _ address: String, ports: String = "{name: http, port: 8080}"
    ) -> String {
        """
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: \(name), namespace: app}
        spec: {selector: {app: \(name)}, ports: [\(ports)]}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: \(name)-1, namespace: app, labels: {app: \(name), version: v1}}
        status: {phase: Running, podIP: \(address), conditions: [{type: Ready, status: "True"}]}

        """
    }

    /// A VirtualService of namespace `app` on `gwns/gw` for `a.com`, unless the case says otherwise.
    static func virtualService(
        _ http: String, name: String = "vs", namespace: String = "app", hosts: String = "[a.com]",
        gateways: String = "[gwns/gw]", created: String = "", more: String = ""
    ) -> String {
        let bound = gateways.isEmpty ? "" : ", gateways: \(gateways)"
        return """
            ---
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: \(name), namespace: \(namespace)\(stamp(created))}
            spec: {hosts: \(hosts)\(bound), http: \(http)\(more)}

            """
    }

    private static func stamp(_ created: String) -> String {
        created.isEmpty ? "" : ", creationTimestamp: '\(created)-01-01T00:00:00Z'"
    }

    /// A destination in `app`, whatever the namespace of the rule.
    static func to(_ service: String) -> String {
        "route: [{destination: {host: \(service).app.svc.cluster.local}}]"
    }

    /// What a request gets: the services it may go to, `404`, `503`, or `closed`.
    func answer(_ request: TestRequest, port: UInt16 = 80, sni: String? = nil, bind: String = "")
        -> String
    {
        guard
            let listener = plan.listeners.first(where: {
                $0.port == port && $0.bind == bind && !$0.isMesh
            })
        else { return "closed" }
        if let sni {
            guard let chain = chain(listener, sni) else { return "closed" }
            return answer(request, table: chain.table)
        }
        guard let table = listener.clearTable else { return "closed" }
        return answer(request, table: table)
    }

    func answer(_ request: TestRequest, table: Int) -> String {
        guard case .route(let number) = plan.tables[table].match(request) else { return "404" }
        let route = plan.routes[number]
        if let reason = route.unavailable { return "\(reason.status)" }
        return route.destinations.map { target(plan.clusters[$0.cluster]) }.joined(separator: "|")
    }

    private func target(_ cluster: ClusterPlan) -> String {
        let name = String(cluster.host.prefix { $0 != "." })
        switch EndpointReader(endpoints).endpoints(of: cluster.source) {
        case .endpoints(let endpoints): return endpoints.isEmpty ? "503" : name
        case .names(let names):
            return names.map { "dns \($0.host):\($0.port)" }.joined(separator: ",")
        }
    }

    /// Exact, then the longest wildcard, then a server without condition: as TLS chooses by SNI.
    private func chain(_ listener: ListenerPlan, _ sni: String) -> TLSChain? {
        if let exact = listener.chains.first(where: { $0.serverNames.contains(sni) }) {
            return exact
        }
        let wild = listener.chains.flatMap { chain in
            chain.serverNames.filter { $0.hasPrefix("*.") && sni.hasSuffix($0.dropFirst()) }.map {
                ($0, chain)
            }
        }
        return wild.max { $0.0.count < $1.0.count }?.1
            ?? listener.chains.first { $0.serverNames == ["*"] }
    }

    var codes: [String] { plan.diagnostics.map(\.code) }
}

/// A plan and the endpoints of the same objects.
struct Compiled {
    let plan: RoutingPlan
    let endpoints: EndpointTable

    init(_ inventory: Inventory, _ options: CompileOptions = CompileOptions()) {
        endpoints = EndpointTable(inventory, refusal: options.refusedEndpoint)
        plan = RoutingPlan.compile(inventory, endpoints: endpoints, options: options)
    }

    var tree: String { plan.renderTree(endpoints: endpoints) }
    var json: String { plan.renderJSON(endpoints: endpoints) }

    func explain(_ request: TextRequest, at entrance: Entrance) -> String {
        plan.explain(request, at: entrance, endpoints: endpoints).text
    }
}
