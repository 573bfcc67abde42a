import Kubernetes
import Manifests
import Routing
import Testing

@testable import Control

@Suite struct ClusterInboxTests {
    private let source = ClusterSource(defaultNamespace: "edge")

    private static func service(_ name: String, port: Int = 80, rest: String = "") -> String {
        """
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: \(name), namespace: shop\(rest)}
        spec: {ports: [{port: \(port)}]}

        """
    }

    private static func slice(_ name: String, _ addresses: String) -> String {
        """
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: \(name), namespace: shop, labels: {kubernetes.io/service-name: a}}
        addressType: IPv4
        ports: [{port: 8080}]
        endpoints: [{addresses: [\(addresses)]}]

        """
    }

    private func names(_ taken: ClusterDelivery) -> [String] { taken.objects.services.map(\.meta.name) }

    @Test func `a load takes each object once, in its newest version`() {
        source.receive(ClusterWorld.lists(Self.service("a") + Self.service("b")))
        #expect(source.needsLoad && source.status.waiting == nil)
        source.receive(ClusterWorld.changed(Self.service("a", port: 81)))
        let taken = source.take()
        #expect(names(taken) == ["a", "b"] && taken.objects.services[0].ports[0].number == 81 && taken.gone.isEmpty)
        #expect(!source.needsLoad)
        #expect(source.take().touched.isEmpty)
    }

    @Test func `what is not in a complete list is gone, in the namespaces of the list`() {
        source.receive(ClusterWorld.lists(Self.service("a") + Self.service("b")))
        _ = source.take()
        let other = ClusterWorld.objects(Self.service("c").replacing("shop", with: "other"))
        source.receive([.page(.services, namespace: "other", other.map(\.octets), isFirst: true, isLast: true)])
        #expect(source.take().gone.isEmpty)
        let first = ClusterWorld.objects(Self.service("a")).map(\.octets)
        source.receive([.page(.services, namespace: "shop", first, isFirst: true, isLast: false)])
        #expect(source.take().gone.isEmpty)    // the list is not complete yet
        source.receive([.page(.services, namespace: "shop", [], isFirst: false, isLast: true)])
        #expect(source.take().gone.map(\.name) == ["b"])
    }

    @Test func `a change between the pages of a list belongs to it`() {
        source.receive([.page(.services, namespace: nil, [], isFirst: true, isLast: false)])
        source.receive(ClusterWorld.changed(Self.service("a")))
        source.receive([.page(.services, namespace: nil, [], isFirst: false, isLast: true)])
        #expect(names(source.take()) == ["a"])
    }

    @Test func `a list that begins anew replaces the one that was not finished`() {
        let objects = ClusterWorld.objects(Self.service("a") + Self.service("b")).map(\.octets)
        source.receive([.page(.services, namespace: nil, [objects[0]], isFirst: true, isLast: false)])
        source.receive([.page(.services, namespace: nil, [objects[1]], isFirst: true, isLast: true)])
        #expect(source.status.kinds.first { $0.name == "Service" }?.objects == 1)
    }

    @Test func `an object that came again is no change`() {
        source.receive(ClusterWorld.lists(Self.service("a")))
        _ = source.take()
        source.receive(ClusterWorld.lists(Self.service("a", rest: ", resourceVersion: '7', generation: 3")))
        #expect(!source.needsLoad && source.take().touched.isEmpty)
    }

    @Test func `EndpointSlices go to the clusters without a load`() throws {
        source.receive(ClusterWorld.lists(Self.slice("a-1", "10.0.0.1")))
        _ = source.take()
        _ = source.takeEndpoints()
        source.receive(ClusterWorld.changed(Self.slice("a-1", "10.0.0.2")))
        #expect(!source.needsLoad)
        let name = ServiceName(namespace: "shop", name: "a-1")
        let changes = try #require(source.takeEndpoints())
        #expect(changes.slices[name]??.endpoints.first?.addresses == ["10.0.0.2"])
        #expect(source.takeEndpoints() == nil)
        source.receive([.removed(.endpointSlices, namespace: "shop", name: "a-1")])
        let removed = try #require(source.takeEndpoints()?.slices[name])
        #expect(removed == nil && !source.needsLoad)
        // The next load knows, too.
        #expect(source.take().gone.map(\.name) == ["a-1"])
    }

    @Test func `an EndpointSlice with an error leaves its last version in effect`() {
        source.receive(ClusterWorld.lists(Self.slice("a-1", "10.0.0.1")))
        _ = source.takeEndpoints()
        source.receive(ClusterWorld.changed(Self.slice("a-1", "nonsense")))
        #expect(source.takeEndpoints() == nil)
        #expect(source.needsLoad, "somebody has to be told of it")
        #expect(source.take().rejected.map(\.name) == ["a-1"])
        source.receive(ClusterWorld.changed(Self.slice("a-1", "10.0.0.2")))
        #expect(source.needsLoad, "what was said of the fault has to go")
        _ = (source.takeEndpoints(), source.take())
        source.receive(ClusterWorld.changed(Self.slice("a-1", "10.0.0.3")))
        #expect(!source.needsLoad && source.takeEndpoints() != nil)
    }

    @Test func `a faulty EndpointSlice behind one that no load has taken leaves that one in effect`() throws {
        source.receive(ClusterWorld.lists(Self.slice("a-1", "10.0.0.1")))
        _ = (source.takeEndpoints(), source.take())
        source.receive(ClusterWorld.changed(Self.slice("a-1", "10.0.0.2")))
        source.receive(ClusterWorld.changed(Self.slice("a-1", "nonsense")))
        source.receive(ClusterWorld.changed(Self.slice("a-1", "more nonsense")))
        let delivery = source.take()
        #expect(delivery.rejected.map(\.name) == ["a-1"])
        #expect(delivery.objects.endpointSlices.flatMap(\.endpoints).flatMap(\.addresses) == ["10.0.0.2"])
    }

    @Test func `an EndpointSlice that was faulty and goes takes its fault along`() {
        source.receive(ClusterWorld.lists(Self.slice("a-1", "10.0.0.1")))
        source.receive(ClusterWorld.changed(Self.slice("a-1", "nonsense")))
        _ = (source.takeEndpoints(), source.take())
        #expect(!source.needsLoad)
        source.receive([.removed(.endpointSlices, namespace: "shop", name: "a-1")])
        #expect(source.needsLoad)
    }

    @Test func `a Node that is removed is known no more`() {
        let node = Array(#"{"metadata":{"name":"n"}}"#.utf8)
        source.receive([.changed(.nodes, node)])
        #expect(source.take().touched.map(\.name) == ["n"])
        source.receive([.removed(.nodes, namespace: "", name: "n")])
        #expect(source.take().gone.map(\.name) == ["n"])
    }

    @Test func `EndpointSlices of files hide those of the cluster`() {
        source.hide([ObjectReference(kind: "EndpointSlice", namespace: "shop", name: "a-1")])
        source.receive(ClusterWorld.changed(Self.slice("a-1", "10.0.0.1")))
        #expect(source.takeEndpoints() == nil)
    }

    @Test func `nothing is known before every kind of every namespace is`() {
        let source = ClusterSource(defaultNamespace: "edge", namespaces: ["a", "b"])
        #expect(source.status.waiting?.hasPrefix("listing AuthorizationPolicy, DestinationRule") == true)
        for kind in ClusterSource.kinds { source.receive([.state(kind, namespace: "a", .current)]) }
        #expect(source.status.waiting != nil)
        for kind in ClusterSource.kinds { source.receive([.state(kind, namespace: "b", .absent)]) }
        #expect(source.status.waiting == nil)
        source.receive([.state(.services, namespace: "a", .unreachable(since: 5000, reason: "timed out"))])
        #expect(source.status.unreachable?.since == 5 && source.status.waiting == "no answer since 5: timed out")
    }

    @Test func `a permission that lacks is an error that names it`() {
        let lacking = Permission(verb: "list", group: "", resource: "services", namespace: nil)
        let secret = SecretName(namespace: "edge", name: "tls")
        source.receive([
            .state(.services, namespace: nil, .refused(lacking)), .state(.gateways, namespace: nil, .absent),
            .secret(
                secret,
                .refused(Permission(verb: "get", group: "", resource: "secrets", namespace: "edge", name: "tls"))),
        ])
        #expect(source.needsLoad)
        #expect(
            source.take().states.text == """
                kubernetes:Gateway: note: the server has no objects of kind Gateway
                kubernetes:Service: error: objects of kind Service cannot be read: verb "list" on resource "services" \
                in all namespaces lacks; grant it by a Role
                kubernetes:edge/Secret/tls: error: this Secret cannot be read: verb "get" on resource "secrets" \
                named "tls" in namespace "edge" lacks; server names that need it have no certificate; \
                grant it by a Role with resourceNames: [tls]

                """)
        #expect(source.knows([secret]) && !source.knows([SecretName(namespace: "edge", name: "other")]))
    }

    @Test func `Secrets that nobody names any more are forgotten`() {
        let yaml = "{apiVersion: v1, kind: Secret, metadata: {name: tls, namespace: edge}, data: {a: aGVsbG8=}}"
        source.receive(ClusterWorld.changed(yaml))
        #expect(source.take().objects.secrets.count == 1)
        source.keepSecrets([])
        #expect(source.take().gone.map(\.name) == ["tls"])
    }

    @Test func `what is not JSON is an error, and the rest goes on`() {
        source.receive([.changed(.services, Array("{".utf8)), .changed(.services, [0xFF])])
        source.receive(ClusterWorld.changed(Self.service("a")))
        let taken = source.take()
        #expect(names(taken) == ["a"] && taken.states.map(\.code) == ["not-json", "not-json"])
        for _ in 0..<30 { source.receive([.changed(.services, [0xFF])]) }
        #expect(source.take().states.count == 20)
    }

    @Test func `an object that is not JSON is refused by its name, and its last good version stays`() {
        source.receive(ClusterWorld.changed(Self.service("a")))
        _ = source.take()
        let deep = String(repeating: "[", count: 200) + String(repeating: "]", count: 200)
        let faulty = #"{"metadata":{"name":"a","namespace":"shop","x":\#(deep)}}"#
        source.receive([.changed(.services, Array(faulty.utf8))])
        let taken = source.take()
        let identity = ObjectReference(kind: "Service", namespace: "shop", name: "a")
        #expect(taken.rejected == [identity] && taken.gone.isEmpty && taken.states.isEmpty)
        #expect(taken.problems[identity]?.map(\.code) == ["not-json"])
        #expect(taken.problems[identity]?.first?.place.file == "kubernetes:shop/Service/a")
        source.receive([.changed(.services, Array(faulty.utf8))])
        #expect(source.take().touched.isEmpty)    // the same fault is no change
    }

    @Test func `of a kind no more objects are known than the limit`() {
        var inbox = ClusterInbox(mostOfKind: 2)
        let reader = ClusterReader(defaultNamespace: "default")
        func put(_ name: String) {
            for event in ClusterWorld.changed(Self.service(name)) {
                guard case .changed(let kind, let octets) = event else { continue }
                inbox.apply(.changed(kind, reader.read(kind: kind.kind, octets)))
            }
        }
        for name in ["a", "b", "c", "b"] { put(name) }
        let taken = inbox.take()
        #expect(names(taken) == ["a", "b"] && taken.states.map(\.code) == ["too-many-objects"])
        #expect(inbox.kindsToList.isEmpty)
        inbox.apply(.removed(.services, ServiceName(namespace: "shop", name: "a")))
        #expect(inbox.kindsToList == [.services], "there is room for it now")
        put("c")
        let later = inbox.take()
        #expect(names(later) == ["c"] && later.states.isEmpty && inbox.kindsToList.isEmpty)
    }

    @Test func `refused objects are worth a list when all of them have room, and some stays free`() {
        let reader = ClusterReader(defaultNamespace: "default")
        var inbox = ClusterInbox(mostOfKind: 100)
        func read(_ numbers: Range<Int>) -> [ClusterObject] {
            numbers.map {
                reader.read(kind: "Service", Array(#"{"metadata":{"name":"s\#($0)","namespace":"shop"}}"#.utf8))
            }
        }
        func remove(_ number: Int) {
            inbox.apply(.removed(.services, ServiceName(namespace: "shop", name: "s\(number)")))
        }
        inbox.apply(.page(.services, namespace: nil, read(0..<100), isFirst: true, isLast: true))
        for object in read(100..<104) { inbox.apply(.changed(.services, object)) }
        #expect(inbox.take().states.map(\.code) == ["too-many-objects"])
        remove(103)    // refused, and gone
        for number in 0..<3 { remove(number) }
        #expect(inbox.kindsToList.isEmpty, "there would be no room for the next one")
        remove(3)
        #expect(inbox.kindsToList == [.services])
        inbox.apply(.page(.services, namespace: nil, read(4..<50), isFirst: true, isLast: false))
        #expect(inbox.kindsToList.isEmpty, "it is being listed")
        inbox.apply(.page(.services, namespace: nil, read(50..<103), isFirst: false, isLast: true))
        let taken = inbox.take()
        #expect(taken.states.isEmpty && taken.gone.count == 4 && inbox.kinds["Service"]?.known.count == 99)
    }

    @Test func `more refused objects than are remembered are not asked for before a list comes anyway`() {
        let names = (0..<7).map { ServiceName(namespace: "shop", name: "s\($0)") }
        var refused = RefusedObjects(.services, most: 3)
        let isFirst = names.map { refused.insert($0) }
        #expect(isFirst == [true, false, false, false, false, false, false])
        for name in names { refused.remove(name) }
        #expect(!refused.isEmpty && !refused.haveRoom(beside: 0))
        refused.listBegan("shop")
        #expect(!refused.isEmpty)
        refused.listBegan("")
        #expect(refused.isEmpty)
    }

    @Test func `an object that the server cannot name any more stays, with all that the list lacks`() {
        source.receive(ClusterWorld.lists(Self.service("a") + Self.service("b")))
        _ = source.take()
        let nameless = Array(#"{"metadata":{"name":{}}}"#.utf8)
        let first = ClusterWorld.objects(Self.service("a")).map(\.octets)
        source.receive([.page(.services, namespace: nil, first + [nameless], isFirst: true, isLast: true)])
        let taken = source.take()
        #expect(taken.gone.isEmpty && taken.states.map(\.code) == ["not-json"])
        // Another namespace's list has all names.
        source.receive([.page(.services, namespace: "other", [], isFirst: true, isLast: true)])
        #expect(source.take().states.map(\.code) == ["not-json"])
        source.receive([.page(.services, namespace: nil, first, isFirst: true, isLast: true)])
        #expect(source.needsLoad)
        let later = source.take()
        #expect(later.gone.map(\.name) == ["b"] && later.states.isEmpty)
    }
}
