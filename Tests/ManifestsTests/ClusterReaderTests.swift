import Manifests
import Octets
import Support
import Testing

/// Objects as an API server sends them, read by the decoders of files.
@Suite struct ClusterReaderTests {
    private static func read(_ kind: String, _ json: String) -> ClusterObject {
        ClusterReader(defaultNamespace: "default").read(kind: kind, Array(json.utf8))
    }

    private static let deep = String(repeating: "[", count: 500) + String(repeating: "]", count: 500)

    @Test func `can be read whatever its status and its managed fields have`() {
        let spec = #""spec":{"hosts":["a.test"],"http":[{"route":[{"destination":{"host":"a"}}]}]}"#
        let more = #""metadata":{"name":"x","managedFields":\#(Self.deep)},"status":\#(Self.deep)"#
        let set = Self.read("VirtualService", "{\(spec),\(more)}").set
        #expect(set.rejected.isEmpty && set.inventory.virtualServices.count == 1)
    }

    /// The object itself is the first of the hundred levels.
    @Test(arguments: [(99, false), (100, true)])
    func `are nested a hundred levels deep at most`(levels: Int, isRefused: Bool) {
        let value = String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
        let set = Self.read("VirtualService", #"{"metadata":{"name":"x"},"spec":\#(value)}"#).set
        #expect(set.diagnostics.contains { $0.code == "not-json" } == isRefused)
    }

    /// What it restricts is not known, and whether it selects this gateway.
    @Test(arguments: AccessPolicy.kinds)
    func `closes if it is a policy that cannot be read`(kind: String) throws {
        let set = Self.read(kind, #"{"metadata":{"name":"x"},"spec":\#(Self.deep)}"#).set
        let policy = try #require(set.inventory.accessPolicies.first)
        #expect(policy.selector.isEmpty && policy.identity.name == "x")
        #expect(set.impaired == [policy.identity] && set.diagnostics.map(\.code) == ["not-json"])
    }

    private static let metadata = """
        "metadata":{"name":"x","namespace":"shop","uid":"1","resourceVersion":"7","generation":2,
        "creationTimestamp":"2026-01-02T03:04:05Z","labels":{"app":"a"},
        "annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{{{"},
        "managedFields":[{"manager":"m","fieldsV1":{"f:spec":{}}}]}
        """

    @Test(arguments: [
        (
            "Gateway",
            #""spec":{"selector":{"a":"b"},"servers":[{"port":{"number":80,"name":"h","protocol":"HTTP"},"#
                + #""hosts":["*"]}]}"#
        ),
        (
            "VirtualService",
            #""spec":{"hosts":["a.test"],"http":[{"route":[{"destination":{"host":"a"}}]}]},"status":{"x":[1]}"#
        ),
        ("DestinationRule", #""spec":{"host":"a","subsets":[{"name":"v1","labels":{"v":"1"}}]}"#),
        (
            "ServiceEntry",
            #""spec":{"hosts":["a.test"],"ports":[{"number":80,"name":"h","protocol":"HTTP"}],"resolution":"DNS"}"#
        ),
        ("WorkloadEntry", #""spec":{"address":"10.0.0.1"}"#),
        (
            "Service",
            #""spec":{"ports":[{"port":80,"targetPort":"web","protocol":"TCP"}],"selector":null},"#
                + #""status":{"loadBalancer":{}}"#
        ),
        ("EndpointSlice", #""addressType":"IPv4","endpoints":null,"ports":null"#),
        ("Endpoints", #""subsets":[{"addresses":[{"ip":"10.0.0.1"}],"ports":[{"port":80}]}]"#),
        ("Pod", #""spec":null"#), ("Secret", #""type":"Opaque","data":{"a":"aGVsbG8="}"#),
        ("AuthorizationPolicy", #""spec":{"selector":{"matchLabels":{"a":"b"}}}"#),
    ])
    func `each kind is read`(kind: String, rest: String) {
        let object = Self.read(kind, "{\(Self.metadata),\(rest)}")
        let identity = ObjectReference(kind: kind, namespace: "shop", name: "x")
        #expect(object.identity == identity)
        #expect(object.set.diagnostics.isEmpty || kind == "EndpointSlice", "\(object.set.diagnostics.text)")
        let found = Inventory.lists.flatMap { $0.identities(in: object.set.inventory) }
        #expect(found == [identity])
    }

    @Test func `metadata alone are a Pod`() {
        let json = """
            {"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"p","namespace":"n",
            "labels":{"v":"1"},"annotations":{"big":"x"},"deletionTimestamp":"2026-01-02T03:04:05Z"}}
            """
        let pod = Self.read("Pod", json).set.inventory.pods.first
        #expect(pod?.meta.labels == ["v": "1"] && pod?.isTerminating == true && pod?.meta.annotations == [:])
    }

    /// The status and what the server manages do not make another version of an object.
    @Test func `what the server manages is no change`() {
        let spec = #""spec":{"hosts":["a.test"],"http":[{"route":[{"destination":{"host":"a"}}]}]}"#
        func version(_ metadata: String, _ rest: String) -> UInt64 {
            Self.read("VirtualService", #"{"metadata":{"name":"x",\#(metadata)},\#(rest)}"#).version
        }
        let old = version(#""resourceVersion":"1""#, spec)
        #expect(
            old
                == version(
                    #""resourceVersion":"2","managedFields":[{"a":1}],"generation":7"#, spec + #","status":{"a":[]}"#))
        #expect(old != version(#""resourceVersion":"1""#, spec.replacing("a.test", with: "b.test")))
        #expect(old != version(#""labels":{"a":"b"}"#, spec))
    }

    private static let messages = [
        (
            "VirtualService",
            #"{"metadata":{"name":"x","namespace":"shop"},"spec":{"hosts":["a.test"],"newField":1,"#
                + #""http":[{"route":[{"destination":{"host":"a"},"weight":"9"}],"timeout":5}]}}"#
        ),
        (
            "Gateway",
            #"{"metadata":{"name":"x","namespace":"shop","futureField":{}},"#
                + #""spec":{"servers":[{"port":{"number":70000,"name":"h","protocol":"HTTP"},"hosts":["*"]}]}}"#
        ),
        ("Service", #"{"metadata":{"name":"x","namespace":"shop"},"spec":{"ports":[{"port":0}],"ports":[]}}"#),
        ("Secret", #"{"metadata":{"name":"x","namespace":"shop"},"data":{"tls.key":"not base 64, and secret"}}"#),
        (
            "EndpointSlice",
            #"{"metadata":{"name":"x","namespace":"shop","labels":{"kubernetes.io/service-name":"a"}},"#
                + #""addressType":"IPv4","endpoints":[{"addresses":["::1"]}]}"#
        ),
        ("Service", #"{"metadata":{"name":"X.Y","namespace":"shop"},"spec":{}}"#), ("Service", #"{"metadata":{}}"#),
        ("Service", #"{"metadata":{"name":"x""#), ("Service", "[]"),
        ("DestinationRule", #"{"metadata":{"name":"x"},"spec":null}"#),
    ]

    @Test func `messages name the object and the field`() {
        let text = Self.messages.map { kind, json in Self.read(kind, json).set.diagnostics.text }.joined(
            separator: "\n")
        #expect(
            TestFiles.matches(text, golden: TestFiles.tests + "/ManifestsTests/Golden/cluster.messages"),
            "\(text)")
        #expect(!text.contains("and secret"))
        let json = Self.read("Service", #"{"metadata":{"name":"x"},"spec":{"ports":[{"port":0}]}}"#).set.diagnostics
            .json
        #expect(json.contains(#""file": "kubernetes:default/Service/x", "line": null, "column": null"#), "\(json)")
    }

    @Test func `an unknown field is a note, and the object is used`() {
        let object = Self.read(
            "Service", #"{"metadata":{"name":"x"},"spec":{"ports":[{"port":80,"newer":true}],"trafficShaping":{}}}"#)
        #expect(object.set.diagnostics.map(\.severity) == [.note, .note])
        #expect(object.set.inventory.services.count == 1 && object.set.isWhole)
    }

    @Test func `a list of fields in the wrong place does not leave anything out`() {
        let json =
            #"{"metadata":{"name":"x"},"spec":{"host":"a","subsets":[{"name":"v1","labels":{"status":"s","#
            + #""uid":"u"}}]}}"#
        let rule = Self.read("DestinationRule", json).set.inventory.destinationRules.first
        #expect(rule?.subsets.first?.labels == ["status": "s", "uid": "u"])
    }

    @Test func `Secrets are decoded, and their octets can be forgotten`() throws {
        let secret = try #require(
            Self.read("Secret", #"{"metadata":{"name":"x"},"data":{"a":"aGVsbG8="}}"#).set.inventory.secrets.first)
        let value = try #require(secret.data["a"]).value
        #expect(value.withOctets(\.array) == Array("hello".utf8))
        secret.forget()
        #expect(value.withOctets(\.array) == nil)
    }

    @Test func `hostile octets trap nothing`() {
        var random = SystemRandomNumberGenerator()
        let reader = ClusterReader(defaultNamespace: "default")
        let seeds = Self.messages.map { ($0, Array($1.utf8)) }
        for round in 0..<20_000 {
            var (kind, octets) = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 1...6, using: &random) where !octets.isEmpty {
                let place = Int.random(in: 0..<octets.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: octets[place] = UInt8.random(in: 0...255, using: &random)
                case 1: octets.remove(at: place)
                case 2: octets.insert(Array("{}[]\",:1n".utf8).randomElement(using: &random) ?? 0, at: place)
                default: octets.insert(contentsOf: octets[place..<min(place + 12, octets.count)], at: place)
                }
            }
            if round % 7 == 0 { kind = seeds.randomElement(using: &random)?.0 ?? kind }
            _ = reader.read(kind: kind, octets)
        }
        for depth in [99, 100, 101, 119, 121, 100_000] {
            let deep = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
            _ = reader.read(kind: "VirtualService", Array(#"{"metadata":{"name":"x"},"spec":\#(deep)}"#.utf8))
        }
    }
}
