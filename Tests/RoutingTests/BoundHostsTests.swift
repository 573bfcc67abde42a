import Testing

@testable import Manifests
@testable import Routing

@Suite struct `The hosts of a Gateway joined with those of VirtualServices` {
    private static let objects = """
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: requests, namespace: app}
        spec: {hosts: [a.test, b.test], gateways: [gwns/gw], http: [{route: [{destination: {host: a}}]}]}
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: connections, namespace: app}
        spec: {hosts: [c.test], gateways: [gwns/gw], tcp: [{route: [{destination: {host: a}}]}]}
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: faulty, namespace: app}
        spec: {hosts: [d.test], gateways: [gwns/gw], http: 7}

        """

    /// A load that was given up may have left joins that the next compilation finds, with the limit of that load.
    @Test func `are whole for the next compilation, whatever has ended this one`() throws {
        let inventory = World(Self.objects).decoded.inventory
        var options = CompileOptions()
        options.gatewayNamespace = "gwns"
        options.limit.end()
        let names = Names(options: options)
        let services = inventory.virtualServices
        let bound = BoundHosts(
            services.indices.map { AttachedService(services, $0, nil) },
            attachments: GatewayAttachments(services, names: names),
            leftOut: LeftOutObjects(inventory.leftOut, names: names), options: options)
        let gateway = try #require(inventory.gateways.first)
        func counts() -> [Int] {
            [bound.hosts(of: gateway), bound.relays(of: gateway), bound.leftOut(of: gateway)].map(\.count)
        }
        #expect(counts() == [0, 0, 0])
        bound.limit = LoadLimit()
        #expect(counts() == [2, 1, 1])
        bound.limit = options.limit
        #expect(counts() == [2, 1, 1], "what is whole is kept")
        #expect(bound.isCovered.count { $0 } == 3)
    }
}
