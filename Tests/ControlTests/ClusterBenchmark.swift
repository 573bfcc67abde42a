import Balancing
import Glibc
import Kubernetes
import Manifests
import Proxy
import Reactor
import Routing
import Support
import Telemetry
import Testing

@testable import Control

/// What changes in a large cluster cost, from the octets of an object to what workers get: 10,000 Services with a
/// VirtualService and a DestinationRule each, 50,000 endpoints, and the labels of their Pods.
@Suite(.enabled(if: TestFiles.environment("PORTICO_BENCH") != nil), .serialized) struct ClusterBenchmark {
    private static let services = 10_000

    private static func metadata(_ name: String, _ index: Int, _ rest: String = "") -> String {
        #""metadata":{"name":"\#(name)","namespace":"ns\#(index % 100)","resourceVersion":"\#(index)","generation":1,"#
            + #""uid":"6d1f5b9c-8f7c-4d5e-9a53-0d7d5f0c0001","creationTimestamp":"2026-01-02T03:04:05Z","#
            + #""managedFields":[{"manager":"kubectl","operation":"Update","fieldsV1":{"f:spec":{"f:hosts":{},"#
            + #""f:http":{},"f:gateways":{}}}}]\#(rest)}"#
    }

    private static func service(_ index: Int) -> String {
        #"{\#(metadata("s\(index)", index)),"spec":{"selector":{"app":"s\#(index)"},"clusterIP":"10.96.0.1","#
            + #""ports":[{"name":"grpc","port":80,"targetPort":8080,"protocol":"TCP"}]},"status":{"loadBalancer":{}}}"#
    }

    private static func virtualService(_ index: Int, prefix: String = "pkg") -> String {
        #"{\#(metadata("s\(index)", index)),"spec":{"hosts":["h\#(index).example.com"],"gateways":["edge/gw"],"http":["#
            + #"{"match":[{"uri":{"prefix":"/\#(prefix).Service\#(index)/"}}],"#
            + #""route":[{"destination":{"host":"s\#(index)"}}]},"#
            + #"{"route":[{"destination":{"host":"s\#(index)","subset":"v1"}}]}]}}"#
    }

    private static func rule(_ index: Int) -> String {
        #"{\#(metadata("s\(index)", index)),"spec":{"host":"s\#(index)","#
            + #""subsets":[{"name":"v1","labels":{"version":"v1"}}]}}"#
    }

    private static func slice(_ index: Int, _ count: Int = 5) -> String {
        let endpoints = (0..<count).map { number in
            #"{"addresses":["10.\#(index / 250).\#(index % 250).\#(number + 1)"],"conditions":{"ready":true,"#
                + #""serving":true,"terminating":false},"nodeName":"node-\#(index % 50)","zone":"z1","#
                + #""targetRef":{"kind":"Pod","namespace":"ns\#(index % 100)","#
                + #""name":"s\#(index)-\#(number)","uid":"x"}}"#
        }.joined(separator: ",")
        let label = #","labels":{"kubernetes.io/service-name":"s\#(index)"}"#
        return #"{\#(metadata("s\(index)-x", index, label)),"addressType":"IPv4","endpoints":[\#(endpoints)],"#
            + #""ports":[{"name":"grpc","port":8080,"protocol":"TCP"}]}"#
    }

    private static func pod(_ index: Int, _ number: Int) -> String {
        let labels = #","labels":{"app":"s\#(index)","version":"v1","pod-template-hash":"5d4f8"}"#
        return "{\(metadata("s\(index)-\(number)", index, labels))}"
    }

    private static let gateway = #"""
        {"metadata":{"name":"gw","namespace":"edge"},"spec":{"selector":{"istio":"ingressgateway"},"servers":[
        {"port":{"number":80,"name":"http","protocol":"HTTP"},"bind":"127.0.0.1","hosts":["*"]}]}}
        """#

    /// All objects, in pages of 500 as a client has them.
    private static func lists() -> [ResourceEvent] {
        let objects: [(ResourceKind, [String])] = [
            (.gateways, [gateway]), (.services, (0..<services).map(service)),
            (.virtualServices, (0..<services).map { virtualService($0) }),
            (.destinationRules, (0..<services).map(rule)),
            (.endpointSlices, (0..<services).map { slice($0) }),
            (.pods, (0..<services).flatMap { index in (0..<5).map { pod(index, $0) } }),
        ]
        var events: [ResourceEvent] = []
        for (kind, texts) in objects {
            let octets = texts.map { Array($0.utf8) }
            for start in stride(from: 0, to: octets.count, by: 500) {
                let page = Array(octets[start..<min(start + 500, octets.count)])
                events.append(
                    .page(kind, namespace: nil, page, isFirst: start == 0, isLast: start + 500 >= octets.count))
            }
        }
        return events + ClusterSource.kinds.map { .state($0, namespace: nil, .current) }
    }

    private static func milliseconds(_ nanoseconds: UInt64) -> String {
        let tenths = nanoseconds / 100_000
        return "\(tenths / 10).\(tenths % 10) ms"
    }

    private static func spread(_ values: [UInt64]) -> String {
        let sorted = values.sorted()
        return "\(milliseconds(sorted[sorted.count / 2])), at most \(milliseconds(sorted[sorted.count - 1]))"
    }

    private static func resident() -> String {
        let text = TestFiles.text("/proc/self/status")
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS") } ?? ""
        return line.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { "\($0 / 1024) MB" } ?? "?"
    }

    @Test func `a large cluster`() throws {
        let source = ClusterSource(defaultNamespace: "edge")
        var options = ControlOptions()
        options.listenMap = [80: 0]
        options.compile.gatewayNamespace = "edge"
        var configuration = Configuration(options: options, metrics: Metrics(version: "bench"), source: source)
        var events = Self.lists()
        let before = Self.resident()
        var began = MonotonicTime.now()
        while !events.isEmpty {
            source.receive([events.removeFirst()])
            if events.isEmpty { break }
        }
        let decoded = MonotonicTime.now()
        configuration.load()
        _ = source.takeEndpoints()
        let snapshot = configuration.snapshot()
        let loaded = MonotonicTime.now()
        HeapMemory.giveBack()
        print(
            "cluster of 10,000 VirtualServices: 90,001 objects decoded in "
                + "\(Self.milliseconds(decoded.nanoseconds(since: began))), compiled and published in "
                + "\(Self.milliseconds(loaded.nanoseconds(since: decoded))); resident \(before) before, "
                + "\(Self.resident()) after")
        #expect(snapshot.clusters.count == 2 * Self.services)
        #expect(snapshot.clusters.reduce(0) { $0 + $1.endpoints.count } == 10 * Self.services)

        let watched = try #require(snapshot.clusters.first { $0.identity.host.hasPrefix("s77.") })
        var delays: [UInt64] = []
        for round in 0..<100 {
            let octets = Array(Self.slice(77, round % 2 == 0 ? 6 : 5).utf8)
            began = .now()
            source.receive([.changed(.endpointSlices, octets)])
            _ = configuration.update(try #require(source.takeEndpoints()))
            #expect(watched.endpoints.count == (round % 2 == 0 ? 6 : 5))
            delays.append(MonotonicTime.now().nanoseconds(since: began))
        }
        print("cluster of 10,000 VirtualServices: from a slice's octets to its clusters \(Self.spread(delays))")
        try storm(&configuration, source)
        var (compiles, applies): ([UInt64], [UInt64]) = ([], [])
        for round in 0..<10 {
            let octets = Array(Self.virtualService(77, prefix: "v\(round)").utf8)
            began = .now()
            source.receive([.changed(.virtualServices, octets)])
            let next = configuration.loadNow(.cluster)
            let compiled = MonotonicTime.now()
            #expect(configuration.apply(next).isNew)
            _ = configuration.snapshot()
            compiles.append(compiled.nanoseconds(since: began))
            applies.append(MonotonicTime.now().nanoseconds(since: compiled))
        }
        print(
            "cluster of 10,000 VirtualServices: from a changed VirtualService's octets to its load "
                + "\(Self.spread(compiles)), "
                + "and to the snapshot \(Self.spread(applies)) of the control thread; resident \(Self.resident())")
    }

    private func storm(_ configuration: inout Configuration, _ source: ClusterSource) throws {
        let events = (0..<Self.services).map {
            ResourceEvent.changed(.endpointSlices, Array(Self.slice($0, 4).utf8))
        }
        let began = MonotonicTime.now()
        for event in events { source.receive([event]) }
        let decoded = MonotonicTime.now()
        _ = configuration.update(try #require(source.takeEndpoints()))
        print(
            "cluster of 10,000 VirtualServices: 10,000 changed slices decoded in "
                + "\(Self.milliseconds(decoded.nanoseconds(since: began))), published in "
                + "\(Self.milliseconds(MonotonicTime.now().nanoseconds(since: decoded)))")
    }
}
