import Manifests
import Routing
import Testing

@Suite struct `A rule that is never reached` {
    private let toA = World.to("a")
    private let toB = World.to("b")

    private static let twoPorts = World.gateway(
        "gw",
        "{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}, "
            + "{port: {number: 81, name: other, protocol: HTTP}, hosts: ['*']}")

    @Test(arguments: [
        "{match: [{gateways: [mesh]}], TO}, {match: [{headers: {x: {exact: y}}}], TO}, {TO}",
        "{match: [{port: 80}], TO}, {TO}", "{match: [{port: 80}, {uri: {prefix: /x}}], TO}, {TO}",
        "{match: [{port: 81, uri: {prefix: /x}}], TO}, {match: [{uri: {prefix: /x/y}}], TO}",
        "{match: [{gateways: [mesh]}, {gateways: [mesh], uri: {exact: /}}, {gateways: [gwns/gw]}], TO}",
        "{match: [{gateways: [gwns/gw, mesh]}], TO}, {match: [{gateways: [gwns/egress]}], TO}",
    ])
    func `is not one that some listener reaches`(rules: String) {
        let world = World(
            World.virtualService("[\(rules.replacing("TO", with: toA))]", gateways: "[gwns/gw, mesh]"),
            gateways: Self.twoPorts)
        let text = world.plan.diagnostics.filter { $0.code == "unreachable" && $0.path != "spec.http[0].match[1]" }.text
        #expect(text == "")
    }

    @Test(arguments: [
        "{TO}, {match: [{uri: {prefix: /x}}], TO}", "{match: [{uri: {prefix: /}}, {uri: {exact: /x}}], TO}",
        "{match: [{uri: {prefix: /x}}], TO}, {match: [{uri: {prefix: /x/y}}], TO}",
        "{match: [{port: 80}], TO}, {match: [{port: 80, uri: {exact: /x}}], TO}",
    ])
    func `is told when no listener that it is for reaches it`(rules: String) {
        let world = World(
            World.virtualService("[\(rules.replacing("TO", with: toA))]"), gateways: Self.twoPorts)
        #expect(world.codes.filter { $0 != "listener-without-routes" } == ["unreachable"])
    }

    @Test(arguments: [(2048, true), (2049, false)])
    func `is looked for up to a length of its path`(octets: Int, isFound: Bool) {
        let path = "/x/" + String(repeating: "a", count: octets - 3)
        let world = World(
            World.virtualService(
                "[{match: [{uri: {prefix: /x}}], \(toA)}, {match: [{uri: {exact: \(path)}}], \(toA)}]"))
        #expect(world.codes.contains("unreachable") == isFound)
    }

    @Test func `behind another object is told when no port reaches it`() {
        let gateways =
            World.gateway("gw", "{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}")
            + World.gateway("gw2", "{port: {number: 81, name: http, protocol: HTTP}, hosts: ['*']}")
        let first = World.virtualService("[{\(toA)}]", name: "first", created: "2020")
        let hidden = World.virtualService("[{\(toB)}]", name: "second", created: "2021")
        #expect(World(first + hidden, gateways: gateways).codes.contains("hidden-by-other"))
        let elsewhere = World.virtualService(
            "[{\(toB)}]", name: "second", gateways: "[gwns/gw, gwns/gw2]", created: "2021")
        #expect(!World(first + elsewhere, gateways: gateways).codes.contains("hidden-by-other"))
    }
}

@Suite struct `A port that Portico does not speak to as it says` {
    private func codes(_ ports: String, _ more: String = "") -> [String] {
        World(
            World.virtualService("[{\(World.to("a"))}]") + more,
            services: World.service("a", "10.0.0.1", ports: ports)
        ).codes
    }

    @Test(arguments: [
        "{name: https, port: 443}", "{name: https-web, port: 443}", "{name: tls, port: 443}",
        "{name: web, port: 443, appProtocol: https}", "{name: web, port: 443, appProtocol: kubernetes.io/wss}",
    ])
    func `is told of when it speaks TLS, for requests go there in clear text`(port: String) {
        #expect(codes(port) == ["clear-text-to-tls"])
        let rule = """
            ---
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: d, namespace: app}
            spec: {host: a, trafficPolicy: {tls: {mode: DISABLE}}}

            """
        #expect(codes(port, rule) == [])
        #expect(codes(port, rule.replacing("DISABLE", with: "SIMPLE")) == [])
    }

    @Test(arguments: ["{name: grpc-web, port: 80}", "{name: web, port: 80, appProtocol: grpc-web}"])
    func `is not one that wants gRPC-Web translated`(port: String) { #expect(codes(port) == []) }

    @Test(arguments: ["HTTPS", "TLS"])
    func `is told of in a ServiceEntry`(name: String) {
        let entry = """
            ---
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: ext, namespace: app}
            spec: {hosts: [ext.org], ports: [{number: 443, name: p, protocol: \(name)}], resolution: DNS}

            """
        let world = World(World.virtualService("[{route: [{destination: {host: ext.org}}]}]") + entry)
        #expect(world.codes == ["clear-text-to-tls"])
    }

    @Test(arguments: [
        "{name: http, port: 443}", "{name: httpsx, port: 80}", "{name: grpc-webx, port: 80}", "{port: 443}",
    ])
    func `is not one that says nothing of the kind`(port: String) { #expect(codes(port) == []) }
}
