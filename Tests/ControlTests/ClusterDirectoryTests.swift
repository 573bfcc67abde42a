import Balancing
import Manifests
import Reactor
import Testing

@testable import Control
@testable import Routing

@Suite struct `Clusters over reloads` {
    private var directory = ClusterDirectory(limit: 1000)

    private static func cluster(
        _ host: String, _ source: EndpointSource, subset: String = "", policy: BalancingPolicy = .roundRobin
    ) -> ClusterPlan {
        ClusterPlan(
            name: "outbound|80|\(subset)|\(host)", host: host, port: 80, subset: subset, isHTTP2: true,
            policy: policy, source: source)
    }

    private static func fixed(_ addresses: String...) -> EndpointSource {
        .workloads(
            WorkloadLookup(
                host: "a", servicePort: 80,
                endpoints: addresses.map { LabeledEndpoint(address: .ip($0, port: 8080), weight: 1, labels: nil) },
                selector: nil, namespace: "app", port: 8080, labels: [:]))
    }

    /// - Returns: the numbers of endpoints that have left.
    @discardableResult private mutating func load(_ clusters: ClusterPlan...) -> [Int] {
        directory.replace(plan: RoutingPlan(clusters: clusters), table: EndpointTable()).left
    }

    private func endpoints(_ cluster: Int = 0) -> [EndpointState] { directory.clusters[cluster].endpoints }
    private func names(_ cluster: Int = 0) -> [String] { endpoints(cluster).map(\.name) }

    @Test mutating func `have the same endpoints as objects`() {
        load(Self.cluster("a", Self.fixed("10.0.0.1", "10.0.0.2")))
        let first = endpoints()
        #expect(load(Self.cluster("a", Self.fixed("10.0.0.2", "10.0.0.1", "10.0.0.3"))) == [])
        #expect(endpoints()[0] === first[1] && endpoints()[1] === first[0])
        #expect(endpoints().map(\.number) == [1, 0, 2])
    }

    @Test mutating func `have one object of an endpoint for all subsets of a service, and one for each service`() {
        load(
            Self.cluster("a", Self.fixed("10.0.0.1", "10.0.0.2")),
            Self.cluster("a", Self.fixed("10.0.0.2"), subset: "v1"), Self.cluster("b", Self.fixed("10.0.0.2")))
        #expect(endpoints(1)[0] === endpoints(0)[1] && endpoints(2)[0] !== endpoints(0)[1])
        // One subset lets it go and another one takes it: it stays the same.
        let kept = endpoints(1)[0]
        let left = load(
            Self.cluster("a", Self.fixed("10.0.0.1")), Self.cluster("a", Self.fixed("10.0.0.2"), subset: "v2"))
        #expect(endpoints(1)[0] === kept && !kept.isGone && left.count == 1)
    }

    @Test mutating func `give an endpoint's number to another one when nobody has the first any more`() {
        load(Self.cluster("a", Self.fixed("10.0.0.1")))
        let first = endpoints()[0]
        #expect(load(Self.cluster("a", Self.fixed("10.0.0.2"))) == [0] && first.isGone)
        #expect(endpoints()[0].number == 1)
        #expect(load(Self.cluster("a", Self.fixed("10.0.0.1"))) == [1])
        // The second one is gone, and the first one is still held here.
        #expect(endpoints()[0].number == 2 && endpoints()[0] !== first)
        load(Self.cluster("a", Self.fixed("10.0.0.3")))
        #expect(endpoints()[0].number == 1)
        withExtendedLifetime(first) {}
    }

    @Test mutating func `survive a load until their identity changes, and have one turn all the while`() {
        load(Self.cluster("a", Self.fixed("10.0.0.1", "10.0.0.2")), Self.cluster("b", Self.fixed("10.0.0.9")))
        let first = directory.clusters
        let worker = Cluster(first[0])
        let before = worker.next(random: 0)?.name
        load(Self.cluster("b", Self.fixed("10.0.0.8")), Self.cluster("a", Self.fixed("10.0.0.1", "10.0.0.2")))
        #expect(directory.clusters[0] === first[1] && directory.clusters[1] === first[0])
        #expect(Set([before, Cluster(first[0]).next(random: 0)?.name]).count == 2)
        load(Self.cluster("a", Self.fixed("10.0.0.2"), policy: .random))
        #expect(directory.clusters[0] !== first[0] && first[0].isGone && first[1].isGone)
        #expect(!directory.clusters[0].isGone)
    }

    @Test mutating func `have the addresses of DNS, each once, without those that nothing may be sent to`() throws {
        let guarding = EndpointGuard(allowsLocal: false)
        guarding.protect([try #require(SocketAddress(host: "127.0.0.1", port: 80))])
        directory = ClusterDirectory(limit: 1000, refusal: guarding.refusal)
        let source = EndpointSource.dns([
            PlannedName(host: "one", port: 80, weight: 2), PlannedName(host: "two", port: 80, weight: 5),
            PlannedName(host: "three", port: 80, weight: 1),
        ])
        load(Self.cluster("a", source))
        #expect(directory.names == ["one", "two", "three"] && names() == [])
        _ = directory.update(resolved: [
            "one": ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::ffff:127.0.0.1"], "two": ["10.0.0.1", "::1"],
        ])
        #expect(names() == ["10.0.0.1:80", "[::1]:80"])
        let sentence = "nothing is sent to 169.254.169.254:80, an address of one, a link-local address"
        #expect(directory.refused.count == 3 && directory.refused.contains(sentence))
        #expect(directory.update(resolved: ["two": ["10.0.0.2"]]) == [0, 1])
        #expect(names() == ["10.0.0.2:80"] && directory.refused == [])
        load(Self.cluster("b", source))    // answers are kept for a new plan
        #expect(names() == ["10.0.0.2:80"])
    }

    @Test mutating func `have the addresses of both families in pairs, which remember the family that works`() throws {
        let source = EndpointSource.dns([PlannedName(host: "one", port: 80, weight: 2)])
        load(Self.cluster("a", source), Self.cluster("b", Self.fixed("10.0.0.9")))
        _ = directory.update(resolved: ["one": ["10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"]])
        let first = endpoints()
        #expect(names() == ["[fd00::1]:80", "[fd00::2]:80"])
        #expect(first.map { $0.dual?.ipv4 } == [.ip("10.0.0.1", port: 80), .ip("10.0.0.2", port: 80)])
        #expect(endpoints(1)[0].dual == nil)
        try #require(first[0].dual).memory.lost(isIPv6: true, at: 1)
        #expect(try #require(first[1].dual).memory.prefersIPv4(at: 2))
        load(Self.cluster("a", source))    // the memory outlives a plan, and an answer with other addresses
        #expect(endpoints()[0] === first[0])
        let left = directory.update(resolved: ["one": ["10.0.0.1", "fd00::3"]])
        #expect(names() == ["[fd00::3]:80"] && left.count == 2)
        #expect(try #require(endpoints()[0].dual).memory.prefersIPv4(at: 2))
        _ = directory.update(resolved: ["one": ["10.0.0.1"]])
        #expect(names() == ["10.0.0.1:80"] && endpoints()[0].dual == nil)
    }

    @Test mutating func `have no endpoints beyond what all together may have, and no one else suffers`() {
        directory = ClusterDirectory(limit: 3)
        load(
            Self.cluster("a", Self.fixed("10.0.0.1", "10.0.0.2")), Self.cluster("b", Self.fixed("10.0.0.3", "10.0.0.4"))
        )
        #expect(names(0).count == 2 && names(1) == [] && directory.refused.count == 1)
        load(Self.cluster("a", Self.fixed("10.0.0.1")), Self.cluster("b", Self.fixed("10.0.0.3", "10.0.0.4")))
        #expect(names(0).count == 1 && names(1).count == 2 && directory.refused == [])
    }

    @Test mutating func `have none where nobody can be served`() {
        load(Self.cluster("a", .unavailable(.unknownHost("a"))), Self.cluster("b", Self.fixed()))
        #expect(directory.clusters.map(\.endpoints.count) == [0, 0])
        #expect(directory.clusters.map(\.name) == ["outbound|80||a", "outbound|80||b"])
    }
}

@Suite struct `The guard of endpoints` {
    private func refusal(_ endpoint: EndpointAddress, allowsLocal: Bool = false) -> String? {
        let guarding = EndpointGuard(allowsLocal: allowsLocal)
        guarding.protect(
            ["127.0.0.1", "0.0.0.0"].enumerated().compactMap {
                SocketAddress(host: $0.element, port: UInt16(15_000 + $0.offset))
            })
        return guarding.refusal(of: endpoint)
    }

    @Test func `refuses this gateway's own listeners in every form, whatever is allowed`() {
        for host in ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0"] {
            #expect(refusal(.ip(host, port: 15_000), allowsLocal: true)?.contains("admin listener") == true)
        }
        for host in ["127.0.0.1", "127.9.9.9", "::1", "::", "0.0.0.0"] {
            #expect(refusal(.ip(host, port: 15_001), allowsLocal: true)?.contains("admin listener") == true)
        }
    }

    @Test func `lets other ports and addresses of this machine be: demos and sidecars are there`() {
        #expect(refusal(.ip("127.0.0.1", port: 8080)) == nil)
        #expect(refusal(.ip("127.0.1.5", port: 15_000)) == nil)
        #expect(refusal(.ip("10.0.0.1", port: 15_000)) == nil)
    }

    @Test func `refuses link-local addresses and Unix sockets unless they are allowed`() {
        let local: [EndpointAddress] = [
            .ip("169.254.169.254", port: 80), .ip("fe80::1", port: 80), .unix(path: "/var/run/docker.sock"),
        ]
        for endpoint in local {
            #expect(refusal(endpoint) != nil)
            #expect(refusal(endpoint, allowsLocal: true) == nil)
        }
    }
}
