import Manifests
import Testing

/// What Istio takes, each an object or a part of one. The cases follow Istio's own tests of its validation.
@Suite struct `Good input` {
    private static func gateway(_ server: String) -> String {
        """
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: edge}
        spec: {servers: [{\(server)}]}
        """
    }

    private static func https(_ tls: String) -> String {
        gateway("port: {number: 443, name: https, protocol: HTTPS}, hosts: [a.com], tls: {\(tls)}")
    }

    private static func virtualService(_ spec: String, hosts: String = "[a.com]") -> String {
        """
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: vs}
        spec: {hosts: \(hosts), gateways: [ns1/edge], \(spec)}
        """
    }

    private static func rule(_ fields: String) -> String {
        virtualService("http: [{route: [{destination: {host: a}}], \(fields)}]")
    }

    private static func serviceEntry(_ fields: String) -> String {
        """
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: se}
        spec: {hosts: [a.com], ports: [{number: 80, name: http, protocol: HTTP}], \(fields)}
        """
    }

    private static func policy(_ level: String, _ block: String) -> String {
        """
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: dr}
        spec: {host: a, \(level)trafficPolicy: {\(block)}\(level.isEmpty ? "" : "}]")}
        """
    }

    private static let generated = "outbound_.15010_._.istiod.istio-system.svc.cluster.local"

    static let objects =
        [
            https("mode: SIMPLE, credentialName: c, privateKey: /k"),
            https("mode: SIMPLE, credentialName: c, serverCertificate: /c"),
            https("mode: MUTUAL, credentialName: c, caCertificates: /ca, privateKey: /k"),
            https("mode: SIMPLE, serverCertificate: /c, privateKey: /k, credentialName: ''"),
            https("mode: SIMPLE, credentialName: c, cipherSuites: [DES-CBC3-SHA]"),
            gateway("port: {number: 80, name: http, protocol: HTTP}, hosts: [a.com], bind: ''"),
            rule("match: [{port: 0}]"),
            rule("headers: {request: {set: {a: '%START_TIME(%s.%3f)%'}}}"),
            rule("headers: {request: {set: {a: '%DOWNSTREAM_PEER_CERT_V_END(%b %d %H:%M:%S %Y %Z)%'}}}"),
            rule("headers: {response: {add: {a: '100%% of %REQ(X?Y):10% and %HOSTNAME%'}}}"),
            rule("headers: {response: {add: {a: '%DYNAMIC_METADATA([\"com.test\", \"b\"])%'}}}"),
            rule("retries: {attempts: 0, retryOn: ''}"),
            rule("mirror: {host: b}, mirrors: []"),
            rule("websocketUpgrade: true"),
            rule("appendHeaders: {a: b}"),
            virtualService("http: [{route: [], redirect: {uri: '', authority: b.com, scheme: ''}}]"),
            virtualService(
                "http: [{route: [{destination: {host: a}}]}], "
                    + "tls: [{match: [{sniHosts: [192.0.2.1]}], route: [{destination: {host: a}}]}]"),
            virtualService(
                "tls: [{match: [{sniHosts: [\(generated)]}], route: [{destination: {host: a}}]}]",
                hosts: "[\(generated)]"),
            virtualService("http: [{route: [{destination: {host: a}}]}]")
                .replacing("[ns1/edge]", with: "[ns1/edge, Upper]"),
            serviceEntry("resolution: NONE, endpoints: []"),
            serviceEntry("resolution: STATIC, workloadSelector: {labels: {a: b}}, endpoints: []"),
            serviceEntry("resolution: DNS").replacing("protocol: HTTP}", with: "protocol: HTTP, targetPort: 0}"),
            serviceEntry("resolution: STATIC, addresses: [192.0.2.1, 2001:db8::]"),
            policy("", "loadBalancer: {consistentHash: {ringHash: {minimumRingSize: 1024}}}"),
            policy("", "loadBalancer: {consistentHash: {useSourceIp: false}}"),
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80, targetPort: 0}]}\n",
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80, targetPort: ''}]}\n",
        ]
        + [
            "tunnel: {targetHost: a, targetPort: 80, protocol: CONNECT}", "proxyProtocol: {version: V2}",
            "retryBudget: {percent: 25}",
        ].flatMap {
            [policy("", $0), policy("subsets: [{name: v1, ", $0)]
        }

    @Test(arguments: objects) func `is taken`(object: String) {
        let set = load(object)
        #expect(set.diagnostics.filter { $0.severity == .error }.text == "")
        #expect(set.rejected.isEmpty && set.impaired.isEmpty)
    }

    /// One part of a name may be longer than a label; 253 characters in all.
    @Test(arguments: [
        "VirtualService", "DestinationRule", "ServiceEntry", "WorkloadEntry", "Secret", "Pod", "EndpointSlice",
        "Endpoints",
    ])
    func `may have a name of 253 characters`(kind: String) {
        let name = { (length: Int) in String(repeating: "x", count: length) }
        let object = { (name: String) in
            let group =
                ["Secret", "Pod", "Endpoints"].contains(kind)
                ? "v1" : kind == "EndpointSlice" ? "discovery.k8s.io/v1" : "networking.istio.io/v1"
            return load("apiVersion: \(group)\nkind: \(kind)\nmetadata: {name: \(name)}\n").diagnostics
        }
        #expect(!object(name(253)).map(\.code).contains("invalid-name"))
        #expect(object(name(254)).first?.hint?.hasPrefix("at most 253 ") == true)
    }

    @Test(arguments: ["Gateway", "Service"])
    func `is named by a label where Istio or Kubernetes wants one`(kind: String) {
        let version = kind == "Service" ? "v1" : "networking.istio.io/v1"
        for name in [String(repeating: "x", count: 64), "a.b"] {
            let found = load("apiVersion: \(version)\nkind: \(kind)\nmetadata: {name: \(name)}\n").diagnostics.first
            #expect(found?.code == "invalid-name")
            #expect(found?.hint?.hasPrefix("at most 63 ") == true)
        }
    }

    @Test func `costs its own part alone while that is not in effect`() throws {
        let set = load(
            Self.virtualService(
                "http: [{route: [{destination: {host: a}}], headers: {request: {set: {a: '%'}}}}], "
                    + "tls: [{match: [{sniHosts: [a:b]}], route: [{destination: {host: a}}]}]"))
        let service = try #require(set.inventory.virtualServices.first)
        #expect(service.http.map(\.isBroken) == [false])
        #expect(service.tls.map(\.isBroken) == [true])
        #expect(set.diagnostics.count { $0.severity == .error } == 2)
    }

    @Test(arguments: ["%", "%START_TIME%%", "abc%123", "%abc%", "%REQ(%", "%()%", "%REQ:%"])
    func `has percent signs in pairs or in operators`(value: String) {
        let set = load(Self.rule("headers: {request: {set: {a: '\(value)'}}}"))
        #expect(set.diagnostics.filter { $0.severity == .error }.map(\.code) == ["invalid-value"])
    }
}

@Suite struct `A list of addresses without quotes` {
    @Test func `may have IPv6 addresses that end in colons`() throws {
        let text = """
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: a, annotations: {"fe80::": "quoted [fe80::]", other: fe80::}}
            spec:
              hosts: [a.com]
              addresses: [192.0.2.1, 2001:db8::, 2001:db8:1::]
              ports: [{number: 80, name: http}]
              resolution: STATIC
            """
        let set = load(text)
        let entry = try #require(set.inventory.serviceEntries.first)
        #expect(entry.addresses.map(\.value) == ["192.0.2.1", "2001:db8::", "2001:db8:1::"])
        #expect(entry.addresses.map(\.place.column) == [15, 26, 38])
        #expect(entry.meta.annotations == ["fe80::": "quoted [fe80::]", "other": "fe80::"])
        #expect(set.diagnostics.filter { $0.severity == .error }.text == "")
    }
}

@Suite struct `JSON objects one after the other` {
    private static func service(_ name: String) -> String {
        #"{"apiVersion":"v1","kind":"Service","metadata":{"name":"\#(name)"},"spec":{"ports":[{"port":80}]}}"#
    }

    @Test(arguments: ["\n", "", " ", "\n\n  "]) func `are all read`(between: String) {
        let set = load(["a", "b", "c"].map(Self.service).joined(separator: between) + "\n")
        #expect(set.diagnostics.text == "")
        #expect(set.inventory.services.map(\.meta.name) == ["a", "b", "c"])
        #expect(set.brokenFiles.isEmpty)
    }

    @Test func `keep their places`() throws {
        let set = load("\(Self.service("ä"))\n  \(Self.service("b")) \(Self.service("c"))\n\(Self.service("d"))")
        let places = set.inventory.services.map { "\($0.meta.name) \($0.meta.place)" }
        #expect(places == ["b input.yaml:2:3", "c input.yaml:2:95", "d input.yaml:3:1"])
    }

    @Test func `may escape characters in two parts`() throws {
        let text = #"""
            {"kind":"Service","apiVersion":"v1","metadata":{"name":"a","annotations":{"\ud83d\ude00":"\ud83d\uDE00 x",\#
            "two":"\ud83d\ude00\ud83d\ude01","not":"\\ud83d\\ude00","mixed":"\\\ud83d\ude00\u00e9",\#
            "single":'\ud83d\ude00',"v6":[2001:db8::]}},"spec":{"ports":[{"port":80}]}}
            """#
        let service = try #require(load(text.replacing("[2001:db8::]", with: "\"db8::]\"")).inventory.services.first)
        #expect(
            service.meta.annotations == [
                "😀": "😀 x", "two": "😀😁", "not": #"\ud83d\ude00"#, "mixed": #"\😀é"#, "single": #"\ud83d\ude00"#,
                "v6": "db8::]",
            ])
        // Places are those of the file.
        let list = try #require(text.firstRange(of: "[2001"))
        let column = text.distance(from: text.startIndex, to: list.lowerBound) + 1
        #expect(load(text).diagnostics.first?.place.column == column)
        for half in [#"{"a":"\ud83d"}"#, #"{"a":"\ud83dx\ude00"}"#, #"{"a":"\ude00\ud83d"}"#] {
            #expect(load(half).diagnostics.map(\.code) == ["syntax"])
        }
    }

    @Test func `may be many`() {
        let set = load(String(repeating: Self.service("a") + "\n", count: 3000))
        #expect(set.inventory.services.count == 1)
        #expect(set.diagnostics.allSatisfy { $0.code == "duplicate-object" })
    }
}
