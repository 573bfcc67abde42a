import Balancing
import Reactor
import Testing

@testable import Control
@testable import Routing

@Suite struct `Endpoints over reloads` {
    private var directory = EndpointDirectory()

    private static func cluster(_ host: String, _ source: EndpointSource, subset: String = "") -> ClusterPlan {
        ClusterPlan(
            name: "outbound|80|\(subset)|\(host)", host: host, port: 80, subset: subset, isHTTP2: true,
            policy: .roundRobin, source: source)
    }

    private static func fixed(_ addresses: String...) -> EndpointSource {
        .endpoints(addresses.map { PlannedEndpoint(address: .ip($0, port: 8080), weight: 1) })
    }

    private mutating func load(_ clusters: ClusterPlan..., resolved: [String: [String]] = [:]) -> [ClusterState] {
        directory.clusters(of: RoutingPlan(clusters: clusters), resolved: resolved)
    }

    @Test mutating func `are the same objects`() {
        let first = load(Self.cluster("a", Self.fixed("10.0.0.1", "10.0.0.2")))[0].endpoints
        let second = load(Self.cluster("a", Self.fixed("10.0.0.2", "10.0.0.1", "10.0.0.3")))[0].endpoints
        #expect(second[0] === first[1] && second[1] === first[0])
        #expect(second.map(\.number) == [1, 0, 2])
    }

    @Test mutating func `are one object for all subsets of a service`() {
        let clusters = load(
            Self.cluster("a", Self.fixed("10.0.0.1", "10.0.0.2")),
            Self.cluster("a", Self.fixed("10.0.0.2"), subset: "v1"))
        #expect(clusters[1].endpoints[0] === clusters[0].endpoints[1])
    }

    @Test mutating func `are different objects for different services`() {
        let clusters = load(
            Self.cluster("a", Self.fixed("10.0.0.1")), Self.cluster("b", Self.fixed("10.0.0.1")))
        #expect(clusters[0].endpoints[0] !== clusters[1].endpoints[0])
        #expect(clusters[0].endpoints[0].number != clusters[1].endpoints[0].number)
    }

    @Test mutating func `get the number of another one when nobody has that any more`() {
        let first = load(Self.cluster("a", Self.fixed("10.0.0.1")))[0].endpoints[0]
        let second = load(Self.cluster("a", Self.fixed("10.0.0.2")))[0].endpoints[0].number
        #expect(first.number == 0 && second == 1 && first.isGone && directory.left == [0])
        // The second one is gone, and the first one is still held here.
        #expect(load(Self.cluster("a", Self.fixed("10.0.0.1")))[0].endpoints[0].number == 2)
        #expect(load(Self.cluster("a", Self.fixed("10.0.0.3")))[0].endpoints[0].number == 1)
        withExtendedLifetime(first) {}
    }

    @Test mutating func `are in clusters that survive a load, until their identity changes`() {
        let first = load(Self.cluster("a", Self.fixed("10.0.0.1")), Self.cluster("b", Self.fixed("10.0.0.9")))
        let second = load(Self.cluster("b", Self.fixed("10.0.0.8")), Self.cluster("a", Self.fixed("10.0.0.2")))
        #expect(second[0] === first[1] && second[1] === first[0])
        let third = load(Self.cluster("a", Self.fixed("10.0.0.2"), subset: "v1"))
        #expect(third[0] !== first[0] && first[0].isGone && first[1].isGone && !third[0].isGone)
        #expect(third[0].endpoints[0] === second[1].endpoints[0])
    }

    @Test mutating func `that DNS gives and nothing may be sent to are left out`() throws {
        let guarding = EndpointGuard(allowsLocal: false)
        guarding.protect([try #require(SocketAddress(host: "127.0.0.1", port: 80))])
        let source = EndpointSource.dns([PlannedName(host: "one", port: 80, weight: 1)])
        let resolved = ["one": ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::ffff:127.0.0.1"]]
        let clusters = directory.clusters(
            of: RoutingPlan(clusters: [Self.cluster("a", source)]), resolved: resolved, refusal: guarding.refusal)
        #expect(clusters[0].endpoints.map(\.name) == ["10.0.0.1:80"])
        #expect(directory.refused.count == 3)
        #expect(
            directory.refused.contains(
                "nothing is sent to 169.254.169.254:80, an address of one, a link-local address"))
    }

    @Test mutating func `come from all addresses of all names, each once`() {
        let source = EndpointSource.dns([
            PlannedName(host: "one", port: 80, weight: 2), PlannedName(host: "two", port: 80, weight: 5),
            PlannedName(host: "three", port: 80, weight: 1),
        ])
        let resolved = ["one": ["10.0.0.1", "10.0.0.2"], "two": ["10.0.0.2", "::1"]]
        let first = load(Self.cluster("a", source), resolved: resolved)
        #expect(first[0].endpoints.map(\.name) == ["10.0.0.1:80", "10.0.0.2:80", "[::1]:80"])
        #expect(load(Self.cluster("a", source))[0].endpoints.isEmpty)
    }

    @Test mutating func `are none where nobody can be served`() {
        let clusters = load(Self.cluster("a", .unavailable(.unknownHost("a"))), Self.cluster("b", .endpoints([])))
        #expect(clusters.map(\.endpoints.count) == [0, 0])
        #expect(clusters.map(\.name) == ["outbound|80||a", "outbound|80||b"])
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
