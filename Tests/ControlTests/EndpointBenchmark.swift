import Balancing
import Glibc
import Manifests
import Proxy
import Reactor
import Routing
import Support
import Synchronization
import Telemetry
import Testing

@testable import Control

/// What a change costs with 10,000 Services of 50,000 endpoints: `make bench SCENARIO=foundation`.
@Suite(.enabled(if: unsafe getenv("PORTICO_BENCH") != nil), .serialized) struct EndpointBenchmark {
    private static let services = 10_000

    private static func service(_ index: Int) -> String {
        """
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: s\(index), namespace: ns\(index % 100)}
        spec: {selector: {app: s\(index)}, ports: [{name: grpc, port: 8080}]}
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: vs\(index), namespace: ns\(index % 100)}
        spec:
          hosts: [h\(index).example.com]
          gateways: [edge/gw]
          http:
          - match: [{uri: {prefix: /pkg.Service\(index)/}}]
            route: [{destination: {host: s\(index)}}]
          - route: [{destination: {host: s\(index), subset: v1}}]
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: s\(index), namespace: ns\(index % 100)}
        spec: {host: s\(index), subsets: [{name: v1, labels: {version: v1}}]}

        """
    }

    private static func slice(_ index: Int, _ count: Int = 5) -> String {
        let endpoints = (0..<count).map { number in
            "{addresses: [10.\(index / 250).\(index % 250).\(number + 1)], "
                + "targetRef: {kind: Pod, name: s\(index)-\(number), namespace: ns\(index % 100)}}"
        }
        return """
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {name: s\(index)-x, namespace: ns\(index % 100), labels: {kubernetes.io/service-name: s\(index)}}
            addressType: IPv4
            ports: [{name: grpc, port: 8080}]
            endpoints: [\(endpoints.joined(separator: ", "))]

            """
    }

    private static func pods(_ index: Int) -> String {
        (0..<5).map { number in
            """
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: s\(index)-\(number), namespace: ns\(index % 100), labels: {app: s\(index), version: v1}}
            status: {phase: Running, conditions: [{type: Ready, status: "True"}]}

            """
        }.joined()
    }

    private static let gateway = """
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: gw, namespace: edge}
        spec:
          selector: {istio: ingressgateway}
          servers: [{port: {number: 80, name: http, protocol: HTTP}, bind: 127.0.0.1, hosts: ['*']}]

        """

    private static func folder() -> TemporaryFolder {
        let folder = TemporaryFolder()
        folder.write("gateway.yaml", gateway)
        for part in 0..<10 {
            let range = part * services / 10..<(part + 1) * services / 10
            folder.write("services\(part).yaml", range.map(service).joined())
            folder.write("slices\(part).yaml", range.map { slice($0) }.joined())
            folder.write("pods\(part).yaml", range.map(pods).joined())
        }
        return folder
    }

    private static func configuration(_ folder: TemporaryFolder) -> Configuration {
        var options = ControlOptions()
        options.paths = [folder.path]
        options.listenMap = [80: 0]
        options.compile.gatewayNamespace = "edge"
        return Configuration(options: options, metrics: Metrics(version: "bench"))
    }

    private static func changes(_ text: String) -> EndpointChanges {
        var changes = EndpointChanges()
        for slice in ManifestReader.load(sources: [("a.yaml", Array(text.utf8))]).inventory.endpointSlices {
            changes.slices[ServiceName(slice.meta)] = slice
        }
        return changes
    }

    /// Processor time of this thread, in nanoseconds.
    private static var processor: UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    private static func milliseconds(_ nanoseconds: UInt64) -> String {
        let tenths = nanoseconds / 10_000
        return "\(tenths / 100).\(tenths % 100 < 10 ? "0" : "")\(tenths % 100) ms"
    }

    @Test func `one endpoint of 50,000 changes`() throws {
        let folder = Self.folder()
        var configuration = Self.configuration(folder)
        configuration.load()
        let snapshot = configuration.snapshot()
        #expect(snapshot.clusters.count == 2 * Self.services)
        #expect(snapshot.clusters.reduce(0) { $0 + $1.endpoints.count } == 10 * Self.services)
        let watched = try #require(snapshot.clusters.first { $0.identity.host.hasPrefix("s77.") })
        let workers = try Watchers(watched, count: 2)
        var (costs, delays): ([UInt64], [UInt64]) = ([], [])
        for round in 0..<200 {
            // Grows and shrinks by one endpoint.
            let change = Self.changes(Self.slice(77, round % 2 == 0 ? 6 : 5))
            let (began, spent) = (MonotonicTime.now(), Self.processor)
            _ = configuration.update(change)
            costs.append(Self.processor - spent)
            delays.append(workers.waitForAll(count: round % 2 == 0 ? 6 : 5).nanoseconds(since: began))
        }
        workers.stop()
        print(
            "change of one endpoint of 50,000: processor of the control thread \(Self.spread(costs)); "
                + "all workers have it after \(Self.spread(delays))")
        #expect(costs.sorted()[100] < 5_000_000 && delays.sorted()[100] < 10_000_000)
    }

    @Test func `reloads of 10,000 VirtualServices`() throws {
        let folder = Self.folder()
        var configuration = Self.configuration(folder)
        configuration.load()
        let renamed = (0..<1000).map(Self.service).joined().replacing("/pkg.Service7/", with: "/pkg.Other/")
        let fewer = (0..<1000).map { Self.slice($0, $0 == 7 ? 4 : 5) }.joined()
        for (what, file, text) in [
            ("an EndpointSlice", "slices0.yaml", fewer), ("a VirtualService", "services0.yaml", renamed),
        ] {
            folder.write(file, text)
            let began = Self.processor
            let loaded = configuration.loadNow()
            let isLoaded = Self.processor
            let applied = configuration.apply(loaded)
            if applied.isNew { _ = configuration.snapshot() }
            print(
                "reload of 10,000 VirtualServices with \(what) changed: 90,000 objects read and compiled in "
                    + "\(Self.milliseconds(isLoaded - began)) of the loader's processor, applied in "
                    + "\(Self.milliseconds(Self.processor - isLoaded)) of the control thread's; routes "
                    + "\(applied.isNew ? "new" : "kept")")
        }
    }

    @Test func `a plan of 10,000 VirtualServices`() throws {
        let folder = Self.folder()
        let inventory = ManifestReader.load(paths: [folder.path], defaultNamespace: "edge").inventory
        var options = CompileOptions()
        options.gatewayNamespace = "edge"
        let began = Self.processor
        let table = EndpointTable(inventory)
        let hasTable = Self.processor
        let plan = RoutingPlan.compile(inventory, endpoints: table, options: options)
        let isCompiled = Self.processor
        var directory = ClusterDirectory(limit: options.mostEndpoints)
        _ = directory.replace(plan: plan, table: table)
        let isApplied = Self.processor
        print(
            "a plan of 10,000 VirtualServices with 20,000 clusters: endpoint table made in "
                + "\(Self.milliseconds(hasTable - began)), compiled in \(Self.milliseconds(isCompiled - hasTable)), "
                + "clusters made in \(Self.milliseconds(isApplied - isCompiled))")
        #expect(plan.clusters.count == 2 * Self.services)
    }

    @Test func `choices while endpoints change`() throws {
        let folder = Self.folder()
        var configuration = Self.configuration(folder)
        configuration.load()
        let watched = try #require(configuration.snapshot().clusters.first { $0.identity.host.hasPrefix("s77.") })
        let quiet = try Self.times(watched) { usleep(1000) }
        let sets = [6, 5].map { Self.changes(Self.slice(77, $0)) }
        var round = 0
        let busy = try Self.times(watched) {
            _ = configuration.update(sets[round % 2])
            round += 1
            usleep(1000)
        }
        print(
            "a choice, with 10,000 Services of 50,000: p99 \(quiet.p99) ns, p99.9 \(quiet.p999) ns; with \(round) "
                + "changes of its cluster meanwhile, p99 \(busy.p99) ns, p99.9 \(busy.p999) ns")
    }

    /// How long choices take, while `meanwhile` is called again and again.
    private static func times(_ state: ClusterState, _ meanwhile: () -> Void) throws -> (p99: UInt64, p999: UInt64) {
        let found = Mutex<[UInt64]>([])
        try Thread.start("chooser") {
            let cluster = Cluster(state)
            var picked = PickedEndpoint()
            var times: [UInt64] = []
            times.reserveCapacity(rounds)
            for _ in 0..<rounds {
                let began = MonotonicTime.now()
                if let endpoint = cluster.next(random: 1) { picked.pick(endpoint) }
                picked.end()
                times.append(MonotonicTime.now().nanoseconds(since: began))
            }
            found.withLock { $0 = times.sorted() }
        }
        while found.withLock({ $0.isEmpty }) { meanwhile() }
        let sorted = found.withLock { $0 }
        return (sorted[rounds / 100 * 99], sorted[rounds / 1000 * 999])
    }

    @Test func `two workers on one cluster`() throws {
        for policy in BalancingPolicy.allCases {
            let identity = ClusterIdentity(host: "a", port: 80, subset: "", policy: policy)
            let numbers = EndpointNumbers()
            let endpoints = (0..<5).map {
                EndpointState(address: .ip("10.0.0.1", port: UInt16($0 + 1)), numbers: numbers)
            }
            let state = ClusterState(name: "a", identity: identity, list: EndpointList(endpoints))
            let costs = try (1...2).map { workers in try Self.choices(state, workers: workers) }
            print(
                "a choice of \(policy.rawValue), with its two counts of requests in flight: "
                    + "\(costs[0]) ns of processor by one worker, \(costs[1]) ns by two at once")
        }
    }

    private static let rounds = 2_000_000

    /// Nanoseconds of processor for each choice and request.
    private static func choices(_ state: ClusterState, workers: Int) throws -> UInt64 {
        let spent = Atomic<UInt64>(0)
        let running = Atomic<Int>(workers)
        for worker in 0..<workers {
            try Thread.start("chooser-\(worker)") {
                let cluster = Cluster(state)
                var picked = PickedEndpoint()
                var random: UInt64 = 1    // Knuth's MMIX
                let began = processor
                for _ in 0..<rounds {
                    random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                    guard let endpoint = cluster.next(random: random >> 32) else { continue }
                    picked.pick(endpoint)
                    picked.end()
                }
                spent.wrappingAdd(processor - began, ordering: .relaxed)
                running.subtract(1, ordering: .releasing)
            }
        }
        while running.load(ordering: .acquiring) > 0 { usleep(1000) }
        return spent.load(ordering: .relaxed) / UInt64(workers * rounds)
    }

    private static func spread(_ values: [UInt64]) -> String {
        let sorted = values.sorted()
        return "\(milliseconds(sorted[sorted.count / 2])), at most \(milliseconds(sorted[sorted.count - 1]))"
    }
}

/// Threads that choose all the time, as busy workers do, and tell how many endpoints they see.
private final class Watchers: Sendable {
    private let seen: [Box]
    private let isStopped = Atomic<Bool>(false)

    private final class Box: Sendable { let count = Atomic<Int>(0) }

    init(_ state: ClusterState, count: Int) throws {
        seen = (0..<count).map { _ in Box() }
        for (number, box) in seen.enumerated() {
            try Thread.start("watcher-\(number)") { [self] in
                let cluster = Cluster(state)
                while !isStopped.load(ordering: .relaxed) {
                    _ = cluster.next(random: 1)
                    box.count.store(cluster.count, ordering: .releasing)
                    usleep(50)
                }
            }
        }
    }

    /// - Returns: when the last one saw it.
    func waitForAll(count: Int) -> MonotonicTime {
        while !seen.allSatisfy({ $0.count.load(ordering: .acquiring) == count }) { usleep(20) }
        return .now()
    }

    func stop() { isStopped.store(true, ordering: .relaxed) }
}
