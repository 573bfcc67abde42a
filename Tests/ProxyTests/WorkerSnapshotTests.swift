import Balancing
import Manifests
import Testing

@testable import Proxy
@testable import Routing

@Suite struct `A worker's snapshot` {
    private let clusters = ClusterHandles()
    private let state = ClusterState(
        name: "a", identity: ClusterIdentity(host: "a", port: 80, subset: "", policy: .roundRobin))

    private func snapshot(http2: Bool = true, source: EndpointSource = .dns([])) -> Snapshot {
        let plan = ClusterPlan(
            name: "a", host: "a", port: 80, subset: "", isHTTP2: http2, policy: .roundRobin, source: source)
        let route = Route(
            number: 0, name: "r", clusters: [(cluster: 0, weight: 1)], policy: .none, unavailable: nil,
            object: ObjectReference(kind: "VirtualService", namespace: "default", name: "vs"),
            place: SourcePlace(file: "a.yaml", line: 1, column: 1))
        return Snapshot(
            plan: RoutingPlan(clusters: [plan], routes: [route]), clusters: [state], routeMetrics: [7], listeners: [])
    }

    /// An open call must not pin a configuration of 100,000 routes for hours.
    @Test func `is not kept alive by the handles that a request holds`() throws {
        var held: (RouteHandle, DestinationHandle)?
        weak var (shared, plan): (Snapshot?, RoutingPlan?)
        do {
            let snapshot = snapshot()
            (shared, plan) = (snapshot, snapshot.plan)
            let own = WorkerSnapshot(snapshot, clusters: clusters)
            held = (own.route(0), own.destination(0))
        }
        #expect(shared == nil && plan == nil)
        let (route, destination) = try #require(held)
        #expect(route.route.name == "r" && route.metrics == 7 && destination.isHTTP2)
    }

    @Test func `has one handle of each part, and the next snapshot's are of the same cluster`() {
        let first = WorkerSnapshot(snapshot(), clusters: clusters)
        #expect(first.route(0) === first.route(0) && first.destination(0) === first.destination(0))
        let second = WorkerSnapshot(snapshot(http2: false), clusters: clusters)
        #expect(second.destination(0).cluster === first.destination(0).cluster)
        #expect(first.destination(0).isHTTP2 && !second.destination(0).isHTTP2)
        clusters.dropUnused()
        #expect(clusters.handle(of: state) === first.destination(0).cluster)
        state.leave()
        clusters.dropUnused()
        #expect(clusters.handle(of: state) !== first.destination(0).cluster)
    }

    @Test func `tells why a destination serves nobody`() {
        let own = WorkerSnapshot(snapshot(source: .unavailable(.tooManyEndpoints)), clusters: clusters)
        #expect(own.destination(0).unavailable == .tooManyEndpoints)
        #expect(WorkerSnapshot(snapshot(), clusters: clusters).destination(0).unavailable == nil)
    }

    @Test func `has tables of handles that are made when they are asked for`() {
        var table = HandleTable<ClusterHandles>(count: 1000)
        #expect(table[0] == nil && table[999] == nil)
        table[999] = clusters
        #expect(table[999] === clusters && table[998] == nil && table[255] == nil)
    }
}
