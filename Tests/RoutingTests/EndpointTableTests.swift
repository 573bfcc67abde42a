import Balancing
import Manifests
import Testing

@testable import Routing

/// What changed objects concern, and what the table then says.
@Suite struct `A table of endpoints` {
    private static let rule = """
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: d}
        spec: {host: a, subsets: [{name: v1, labels: {version: v1}}]}

        """
    private static let a = ServiceName(namespace: "default", name: "a")

    private static func slice(_ name: String, _ endpoints: String, service: String = "a") -> String {
        """
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: \(name), labels: {kubernetes.io/service-name: \(service)}}
        addressType: IPv4
        ports: [{name: http, port: 8080}]
        endpoints: [\(endpoints)]

        """
    }

    private static func pod(_ name: String, _ address: String, _ version: String, more: String = "") -> String {
        """
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: \(name), labels: {app: a, version: \(version)\(more)}}
        status: {phase: Running, podIP: \(address), conditions: [{type: Ready, status: "True"}]}

        """
    }

    private static func read(_ text: String) -> Inventory {
        ManifestReader.load(sources: [("case.yaml", Array(text.utf8))]).inventory
    }

    private static func changes(_ text: String) -> EndpointChanges {
        var changes = EndpointChanges()
        let inventory = read(text)
        for slice in inventory.endpointSlices { changes.slices[ServiceName(slice.meta)] = slice }
        for pod in inventory.pods { changes.pods[ServiceName(pod.meta)] = pod }
        return changes
    }

    private static func source(_ labels: [String: String] = [:], selector: [String: String] = [:]) -> EndpointSource {
        .service(
            ServiceLookup(
                service: a, port: 80, portName: "http", target: .number(8080), selector: selector,
                publishesNotReady: false, prefersIPv6: false, labels: labels,
                fallback: PlannedName(host: "a.default.svc.cluster.local", port: 80, weight: 1)))
    }

    private func names(_ table: EndpointTable, _ labels: [String: String] = [:]) -> [String] {
        guard case .endpoints(let found) = EndpointReader(table).endpoints(of: Self.source(labels)) else {
            return ["dns"]
        }
        return found.map(\.address.description)
    }

    @Test func `that was separated from another one changes by itself`() {
        var one = EndpointTable(Self.read(Self.rule + Self.slice("s", "{addresses: [10.0.0.1]}")))
        var other = one.separate()
        #expect(one.apply(Self.changes(Self.slice("s", "{addresses: [10.0.0.2]}"))).services == [Self.a])
        #expect(Self.addresses(one) == ["10.0.0.2"] && Self.addresses(other) == ["10.0.0.1"])
        #expect(other.apply(Self.changes(Self.pod("p", "10.0.0.1", "v1"))).services == [Self.a])
        #expect(one.apply(Self.changes(Self.pod("p", "10.0.0.1", "v1"))).services.isEmpty)
    }

    private static func addresses(_ table: EndpointTable) -> [String] {
        (table.found(source(), withLabels: false) ?? []).map { "\($0.address)".replacing(":8080", with: "") }
    }

    @Test func `says which Services a slice concerns, before and after`() {
        var table = EndpointTable(Self.read(Self.rule + Self.slice("s", "{addresses: [10.0.0.1]}")))
        #expect(table.apply(Self.changes(Self.slice("s", "{addresses: [10.0.0.2]}"))).services == [Self.a])
        #expect(names(table) == ["10.0.0.2:8080"])
        let moved = table.apply(Self.changes(Self.slice("s", "{addresses: [10.0.0.2]}", service: "b")))
        #expect(moved.services == [Self.a, ServiceName(namespace: "default", name: "b")])
        #expect(names(table) == ["dns"])
        var gone = EndpointChanges()
        gone.slices[ServiceName(namespace: "default", name: "s")] = .some(nil)
        #expect(table.apply(gone).services == [ServiceName(namespace: "default", name: "b")])
        #expect(table.apply(gone).services == [])
    }

    @Test func `says whom a pod concerns, by its name or its address`() {
        let slices = Self.slice(
            "s", "{addresses: [10.0.0.1], targetRef: {kind: Pod, name: p1}}, {addresses: [10.0.0.2]}")
        var table = EndpointTable(Self.read(Self.rule + slices))
        #expect(names(table, ["version": "v1"]) == [])
        #expect(table.apply(Self.changes(Self.pod("p1", "10.9.9.9", "v1"))).services == [Self.a])
        #expect(table.apply(Self.changes(Self.pod("p2", "10.0.0.2", "v1"))).services == [Self.a])
        #expect(names(table, ["version": "v1"]) == ["10.0.0.1:8080", "10.0.0.2:8080"])
        #expect(table.apply(Self.changes(Self.pod("p3", "10.0.0.3", "v1"))).services == [])
        // After the slice has let go of it, the pod concerns nobody.
        _ = table.apply(Self.changes(Self.slice("s", "{addresses: [10.0.0.2]}")))
        #expect(table.apply(Self.changes(Self.pod("p1", "10.9.9.9", "v2"))).services == [])
    }

    @Test func `knows a pod by its address where the one that an endpoint names is not known`() {
        let slices = Self.slice("s", "{addresses: [10.0.0.1], targetRef: {kind: Pod, name: gone}}")
        var table = EndpointTable(Self.read(Self.rule + slices))
        #expect(table.apply(Self.changes(Self.pod("other", "10.0.0.1", "v1"))).services == [Self.a])
        #expect(names(table, ["version": "v1"]) == ["10.0.0.1:8080"])
        #expect(table.apply(Self.changes(Self.pod("other", "10.0.0.1", "v2"))).services == [Self.a])
        #expect(names(table, ["version": "v1"]) == [])
        // The one that is named counts from its coming on.
        _ = table.apply(Self.changes(Self.pod("gone", "10.9.9.9", "v1")))
        #expect(names(table, ["version": "v1"]) == ["10.0.0.1:8080"])
        _ = table.apply(Self.changes(Self.slice("s", "{addresses: [10.0.0.2]}")))
        #expect(table.apply(Self.changes(Self.pod("other", "10.0.0.1", "v3"))).services == [])
    }

    /// Kubernetes tells each heartbeat of a pod, and labels that nobody asks for.
    @Test func `is not concerned by a pod in which nothing has changed that matters`() {
        var table = EndpointTable(Self.read(Self.rule + Self.slice("s", "{addresses: [10.0.0.1]}")))
        #expect(table.apply(Self.changes(Self.pod("p1", "10.0.0.1", "v1"))).podNamespaces == ["default"])
        let same = table.apply(Self.changes(Self.pod("p1", "10.0.0.1", "v1", more: ", beat: b1")))
        #expect(same.services.isEmpty && same.podNamespaces.isEmpty)
    }

    @Test func `selects pods where no other object is known`() {
        let selector = ["app": "a"]
        let service =
            "---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
            + "spec: {selector: {app: a}, ports: [{name: http, port: 80}]}\n"
        var table = EndpointTable(Self.read(Self.rule + service))
        let source = Self.source(selector: selector)
        #expect(table.selectsPods(source))
        _ = table.apply(Self.changes(Self.pod("p1", "10.0.0.1", "v1")))
        #expect(
            EndpointReader(table).endpoints(of: source)
                == .endpoints([PlannedEndpoint(address: .ip("10.0.0.1", port: 8080), weight: 1)]))
        _ = table.apply(Self.changes(Self.slice("s", "")))
        #expect(!table.selectsPods(source) && EndpointReader(table).endpoints(of: source) == .endpoints([]))
    }

    @Test func `leaves out what nothing may be sent to`() {
        let inventory = Self.read(
            Self.rule + Self.slice("s", "{addresses: [10.0.0.1]}, {addresses: [169.254.169.254]}"))
        let table = EndpointTable(inventory) { $0 == .ip("169.254.169.254", port: 8080) ? "link-local" : nil }
        #expect(names(table) == ["10.0.0.1:8080"])
    }

    @Test func `chooses by label as somebody who looks at each endpoint`() {
        var random = FixedRandom(state: 7)
        for _ in 0..<200 {
            let labels = (0..<Int.random(in: 0..<30, using: &random)).map { _ -> [String: String]? in
                guard Int.random(in: 0..<8, using: &random) > 0 else { return nil }
                return [
                    "a": "\(Int.random(in: 0..<3, using: &random))",
                    "b\(Int.random(in: 0..<2, using: &random))": "\(Int.random(in: 0..<3, using: &random))",
                ]
            }
            let index = ByLabel(Array(labels.indices), labels: labels)
            #expect(index.unknown == labels.count { $0 == nil })
            for _ in 0..<10 {
                var wanted = ["b\(Int.random(in: 0..<3, using: &random))": "\(Int.random(in: 0..<4, using: &random))"]
                if Int.random(in: 0..<2, using: &random) == 0 {
                    wanted["a"] = "\(Int.random(in: 0..<4, using: &random))"
                }
                if Int.random(in: 0..<10, using: &random) == 0 { wanted = [:] }
                var visits = 0
                let plain = labels.indices.filter { place in
                    wanted.allSatisfy { labels[place]?[$0.key] == $0.value }
                }
                #expect(index.having(wanted, &visits) == plain)
                #expect(index.having(wanted, &visits) == plain, "the same question again")
            }
        }
    }
}
