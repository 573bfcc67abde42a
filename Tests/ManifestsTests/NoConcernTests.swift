import Manifests
import Testing

@Suite struct `What an edge gateway has no use for` {
    private static func object(_ kind: String, _ spec: String) -> String {
        "{apiVersion: networking.istio.io/v1, kind: \(kind), metadata: {name: x}, spec: {\(spec)}}"
    }

    private static let entry = "hosts: [x.org], ports: [{number: 80, name: http}], resolution: "

    @Test(arguments: [
        (
            object("Gateway", "servers: [{name: web, port: {number: 80, name: a, protocol: HTTP}, hosts: ['*']}]"),
            "spec.servers[0].name"
        ),
        (
            object(
                "Gateway",
                "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, "
                    + "tlsCertificates: [{serverCertificate: /c, privateKey: /k, caCertificates: /a}]}}]"),
            "spec.servers[0].tls.tlsCertificates[0].caCertificates"
        ),
        (
            object(
                "VirtualService",
                "hosts: [a.com], http: [{match: [{name: one, port: 80}], route: [{destination: {host: a}}]}]"),
            "spec.http[0].match[0].name"
        ),
        (object("ServiceEntry", entry + "DNS, location: MESH_INTERNAL"), "spec.location"),
        (object("ServiceEntry", entry + "DNS, addresses: [192.0.2.1]"), "spec.addresses"),
        (
            object("ServiceEntry", entry + "STATIC, endpoints: [{address: 10.0.0.1, serviceAccount: s}]"),
            "spec.endpoints[0].serviceAccount"
        ),
        (
            object("ServiceEntry", entry + "STATIC, endpoints: [{address: 10.0.0.1, network: net}]"),
            "spec.endpoints[0].network"
        ),
        (object("WorkloadEntry", "address: 10.0.0.1, serviceAccount: s"), "spec.serviceAccount"),
        (object("WorkloadEntry", "address: 10.0.0.1, network: net"), "spec.network"),
        (
            object(
                "DestinationRule",
                "host: a, trafficPolicy: {loadBalancer: {zoneAwareLbSetting: {enabled: true, minClusterSize: 3}}}"),
            "spec.trafficPolicy.loadBalancer.zoneAwareLbSetting.minClusterSize"
        ),
    ])
    func `is a note, which fails no check`(text: String, path: String) {
        let reports = load(text).diagnostics
        #expect(reports.map(\.severity) == [.note])
        #expect(reports.map(\.code) == ["no-concern"])
        #expect(reports.first?.path == path && reports.first?.message.hasPrefix("`\(path)` has no effect here") == true)
    }
}
