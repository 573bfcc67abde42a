import Kubernetes
import Manifests
import Routing
import Testing

@testable import Control

/// Random changes, removals and lists, taken at random moments, come to what a dictionary has.
@Suite struct ClusterModelTests {
    private var model: [ServiceName: Int] = [:]
    private var random = SystemRandomNumberGenerator()

    private static let names = ["a", "b"].flatMap { namespace in
        (0..<6).map { ServiceName(namespace: namespace, name: "s\($0)") }
    }

    private static func octets(_ name: ServiceName, _ port: Int) -> [UInt8] {
        let slice = """
            {"metadata":{"name":"\(name.name)","namespace":"\(name.namespace)","labels":
            {"kubernetes.io/service-name":"\(name.name)"}},"addressType":"IPv4","ports":[{"port":\(port)}],
            "endpoints":[{"addresses":["10.0.0.1"]}]}
            """
        return Array(slice.utf8)
    }

    private mutating func change() -> [ResourceEvent] {
        guard let name = Self.names.randomElement(using: &random) else { return [] }
        if Int.random(in: 0..<3, using: &random) == 0 {
            model[name] = nil
            return [.removed(.endpointSlices, namespace: name.namespace, name: name.name)]
        }
        let port = Int.random(in: 1...3, using: &random)
        model[name] = port
        return [.changed(.endpointSlices, Self.octets(name, port))]
    }

    /// A list of one namespace or of all, in pages of two, after changes that the watch has missed.
    private mutating func list() -> [ResourceEvent] {
        let namespace = [nil, "a", "b"].randomElement(using: &random) ?? nil
        for name in Self.names where Bool.random(using: &random) && (namespace ?? name.namespace) == name.namespace {
            model[name] = Bool.random(using: &random) ? Int.random(in: 1...3, using: &random) : nil
        }
        let listed = model.filter { (namespace ?? $0.key.namespace) == $0.key.namespace }
            .map { Self.octets($0.key, $0.value) }
        let pages = stride(from: 0, to: max(listed.count, 1), by: 2).map { Array(listed.dropFirst($0).prefix(2)) }
        return pages.enumerated().map { number, page in
            .page(
                .endpointSlices, namespace: namespace, page, isFirst: number == 0, isLast: number == pages.count - 1)
        }
    }

    private static func ports(_ slices: [EndpointSlice]) -> [ServiceName: Int] {
        Dictionary(uniqueKeysWithValues: slices.map { (ServiceName($0.meta), $0.ports.first?.number ?? 0) })
    }

    @Test mutating func `store and endpoints have what the model has`() {
        for _ in 0..<100 {
            var (objects, live): (ClusterObjects, [ServiceName: Int]) = (ClusterObjects(), [:])
            let source = ClusterSource(defaultNamespace: "edge")
            model = [:]
            for _ in 0..<40 {
                source.receive(Int.random(in: 0..<5, using: &random) == 0 ? list() : change())
                if Bool.random(using: &random) { objects.take(source.take()) }
                guard Bool.random(using: &random), let changes = source.takeEndpoints() else { continue }
                for (name, slice) in changes.slices { live[name] = slice?.ports.first?.number }
            }
            objects.take(source.take())
            for (name, slice) in source.takeEndpoints()?.slices ?? [:] { live[name] = slice?.ports.first?.number }
            #expect(Self.ports(objects.store.inventory.endpointSlices) == model)
            #expect(live == model)
            #expect(source.status.kinds.first { $0.name == "EndpointSlice" }?.objects == model.count)
        }
    }
}
