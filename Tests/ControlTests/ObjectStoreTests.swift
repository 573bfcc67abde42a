import Manifests
import Proxy
import Support
import Telemetry
import Testing

@testable import Control

@Suite struct `The store of objects` {
    private var store = ObjectStore()
    private var changes = ObjectChanges()

    private mutating func merge(_ set: ManifestSet) -> Inventory {
        changes = store.apply(set.delivery)
        return store.inventory
    }

    private static func service(_ name: String, port: String = "80") -> String {
        """
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: \(name)}
        spec: {ports: [{port: \(port)}]}

        """
    }

    /// Two rules; `weight` of the first one's destination decides whether it is sound.
    private static func routes(timeout: String) -> String {
        """
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: vs}
        spec:
          hosts: [a.test]
          http:
          - {timeout: \(timeout), route: [{destination: {host: a}}]}
          - {route: [{destination: {host: b}}]}

        """
    }

    private static func load(_ files: [String: String]) -> ManifestSet {
        ManifestReader.load(sources: files.sorted { $0.key < $1.key }.map { ($0.key, Array($0.value.utf8)) })
    }

    /// Ports of the Services after one more load, by name.
    private mutating func ports(_ files: [String: String]) -> [String: Int] {
        ports(Self.load(files))
    }

    private mutating func ports(_ set: ManifestSet) -> [String: Int] {
        let services = merge(set).services
        return Dictionary(uniqueKeysWithValues: services.map { ($0.meta.name, $0.ports.first?.number ?? 0) })
    }

    @Test mutating func `says which objects moved and say the same`() {
        let one = Self.service("x") + Self.routes(timeout: "1s")
        _ = ports(["a": one])
        _ = ports(["a": one])
        #expect(changes == ObjectChanges())
        // A comment in the middle of an object moves a part of it.
        _ = ports(["a": Self.service("x") + Self.routes(timeout: "1s").replacing("  http:", with: "  # Rules\n  http:")]
        )
        #expect(changes.moved.map(\.kind) == ["VirtualService"] && changes.counts == ObjectChanges.Counts())
        _ = ports(["b": one])
        #expect(Set(changes.moved.map(\.kind)) == ["Service", "VirtualService"])
    }

    @Test mutating func `is what was read, while all is well`() {
        #expect(ports(["a": Self.service("x") + Self.service("w")]) == ["x": 80, "w": 80])
        #expect(ports(["a": Self.service("x", port: "81")]) == ["x": 81])
        #expect(store.kept == [])
    }

    @Test mutating func `keeps what was below a folder that cannot be read, and lets go of what is gone`() {
        let all = Dictionary(uniqueKeysWithValues: (0..<5000).map { ("d/\($0).yaml", Self.service("x\($0)")) })
        #expect(ports(all).count == 5000)
        for folder in ["e", "e/", "d/1", "/d"] {
            var set = Self.load(["d/0.yaml": Self.service("x0")])
            set.brokenFiles = [folder]
            var other = store
            _ = other.apply(set.delivery)
            #expect(other.inventory.services.count == 1)
        }
        for folder in ["d", "d/"] {
            var set = Self.load(["d/0.yaml": Self.service("x0")])
            set.brokenFiles = [folder]
            var other = store
            _ = other.apply(set.delivery)
            #expect(other.inventory.services.count == 5000)
        }
        // Each object that is gone was compared with each file that is broken.
        var set = Self.load(["d/0.yaml": Self.service("x0")])
        set.brokenFiles = Set((0..<60_000).map { "f/\($0).yaml" })
        let time = ContinuousClock().measure { #expect(ports(set).count == 1) }
        #expect(time < .seconds(15))
    }

    @Test mutating func `stands in for an object that is rejected, and only for that one`() {
        _ = ports(["a": Self.service("x") + Self.service("w")])
        let broken = ["a": Self.service("x", port: "many") + Self.service("w", port: "81")]
        #expect(ports(broken) == ["x": 80, "w": 81])
        #expect(store.kept.map(\.description) == ["Service default/x"])
        #expect(ports(broken) == ["x": 80, "w": 81])
        #expect(ports(["a": Self.service("x", port: "82")]) == ["x": 82])
        #expect(store.kept == [])
    }

    @Test mutating func `lasts over many broken loads in a row, also when other things break`() {
        _ = ports(["a": Self.service("x") + Self.service("w"), "b": Self.service("z")])
        let first = ["a": Self.service("x", port: "many") + Self.service("w", port: "81"), "b": Self.service("z")]
        #expect(ports(first) == ["x": 80, "w": 81, "z": 80])
        #expect(ports(first) == ["x": 80, "w": 81, "z": 80])
        #expect(ports(["a": "x: [", "b": Self.service("z", port: "82")]) == ["x": 80, "w": 81, "z": 82])
        #expect(ports(["a": "x: [", "b": "x: ["]) == ["x": 80, "w": 81, "z": 82])
        #expect(ports(["a": "x: [", "b": ""]) == ["x": 80, "w": 81])
        #expect(ports(["a": Self.service("w"), "b": ""]) == ["w": 80])
        #expect(store.kept == [])
    }

    @Test mutating func `has nothing for an object that never was good`() {
        #expect(ports(["a": Self.service("x", port: "many")]) == [:])
        #expect(store.kept == [])
    }

    @Test mutating func `closes what a policy of access closed, when its file is broken`() {
        let policy = """
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: guard}
            spec: {selector: {matchLabels: {istio: ingressgateway}}}

            """
        _ = merge(Self.load(["a": policy, "b": Self.service("x")]))
        for _ in 0..<2 {
            let broken = merge(Self.load(["a": "x: [", "b": Self.service("x")]))
            #expect(broken.accessPolicies.map(\.identity.name) == ["guard"])
            #expect(store.kept.map(\.name) == ["guard"])
        }
        #expect(merge(Self.load(["a": "", "b": Self.service("x")])).accessPolicies.isEmpty)
    }

    @Test mutating func `is in effect, so that nobody is told that the object was left out`() {
        let broken = Self.load(["a": Self.service("x", port: "many")])
        #expect(merge(broken).leftOut.map(\.identity.name) == ["x"])
        _ = merge(Self.load(["a": Self.service("x")]))
        #expect(merge(broken).leftOut.isEmpty)
    }

    @Test mutating func `keeps what a broken file defined, not what another file did`() {
        _ = ports(["a": Self.service("x"), "b": Self.service("w"), "c": Self.service("z")])
        #expect(ports(["a": "x: [", "b": Self.service("w")]) == ["x": 80, "w": 80])
        #expect(store.kept.map(\.name) == ["x"])
    }

    @Test mutating func `gives way to an object that moved out of its broken file`() {
        _ = ports(["a": Self.service("x")])
        #expect(ports(["a": "x: [", "b": Self.service("x", port: "81")]) == ["x": 81])
        #expect(store.kept == [])
    }

    @Test mutating func `keeps what came from a folder that cannot be read now`() {
        _ = ports(["in/a": Self.service("x"), "inner/a": Self.service("w")])
        var unreadable = ManifestSet()
        unreadable.brokenFiles = ["in"]
        #expect(ports(unreadable) == ["x": 80])
        unreadable.brokenFiles = ["in/"]
        #expect(ports(unreadable) == ["x": 80])
        unreadable.brokenFiles = ["other"]
        #expect(ports(unreadable) == [:])
    }

    @Test mutating func `forgets an object whose file is sound and does not have it any more`() {
        _ = ports(["a": Self.service("x") + Self.service("w")])
        #expect(ports(["a": Self.service("w")]) == ["w": 80])
        #expect(ports(["a": "x: ["]) == ["w": 80])
    }

    @Test mutating func `prefers a whole object to one that lacks a part`() throws {
        let sound = Self.load(["a": Self.routes(timeout: "5s")])
        let impaired = Self.load(["a": Self.routes(timeout: "soon")])
        #expect(impaired.impaired.count == 1 && impaired.inventory.virtualServices.count == 1)
        _ = merge(sound)
        for _ in 0..<2 {
            let merged = merge(impaired)
            #expect(merged.virtualServices.count == 1)
            #expect(merged.virtualServices.first?.http.first?.timeout?.value == .seconds(5))
            #expect(store.kept.count == 1)
        }
        _ = merge(sound)
        #expect(store.kept == [])
    }

    @Test mutating func `takes the newer of two objects that both lack a part`() {
        _ = merge(Self.load(["a": Self.routes(timeout: "soon")]))
        let merged = merge(Self.load(["a": Self.routes(timeout: "later")]))
        #expect(merged.virtualServices.count == 1)
        #expect(store.kept == [])
    }

    @Test mutating func `keeps a version that lacked a part as one that does`() {
        _ = merge(Self.load(["a": Self.routes(timeout: "soon")]))
        _ = merge(Self.load(["a": "x: ["]))
        #expect(store.kept.count == 1)
        _ = merge(Self.load(["a": Self.routes(timeout: "later")]))
        #expect(store.kept == [])
    }

    @Test mutating func `says what a load changed, whatever the lines that it stands in`() {
        func names(_ list: [ObjectReference]) -> [String] { list.map(\.name).sorted() }
        _ = merge(Self.load(["a": Self.service("x") + Self.service("w")]))
        #expect(names(changes.added) == ["w", "x"] && changes.counts == .init(added: 2))
        _ = merge(Self.load(["a": "# moved\n\n" + Self.service("w") + Self.service("x")]))
        #expect(names(changes.moved) == ["w", "x"])
        changes.moved = []
        #expect(changes == ObjectChanges())
        _ = merge(Self.load(["a": Self.service("w", port: "81"), "b": Self.service("z")]))
        #expect(names(changes.added) == ["z"] && names(changes.changed) == ["w"] && names(changes.removed) == ["x"])
        #expect("\(changes.counts)" == "1 objects added, 1 changed, 1 removed")
        // What keeps its last good version does not change.
        _ = merge(Self.load(["a": Self.service("w", port: "many"), "b": "x: ["]))
        #expect(changes == ObjectChanges() && names(store.kept) == ["w", "z"])
    }
}

@Suite struct `Objects that a source hands over one by one` {
    private var store = ObjectStore()

    init() {
        let text = (0..<5).map { Self.service("s\($0)") }.joined()
        _ = store.apply(Self.load(text).delivery)
    }

    private static func service(_ name: String, port: String = "80") -> String {
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: \(name)}\nspec: {ports: [{port: \(port)}]}\n"
    }

    private static func load(_ text: String) -> ManifestSet {
        ManifestReader.load(sources: [("watch", Array(text.utf8))])
    }

    private static func reference(_ name: String) -> ObjectReference {
        ObjectReference(kind: "Service", namespace: "default", name: name)
    }

    /// What a watch would hand over: some objects, and some that are gone.
    private mutating func hand(_ text: String, gone: [String] = []) -> ObjectChanges {
        let set = Self.load(text)
        return store.apply(
            ObjectDelivery(
                objects: set.inventory, impaired: set.impaired, rejected: set.rejected,
                scope: .some(gone: gone.map(Self.reference))))
    }

    private var ports: [String: Int] {
        Dictionary(uniqueKeysWithValues: store.inventory.services.map { ($0.meta.name, $0.ports.first?.number ?? 0) })
    }

    @Test mutating func `leave the others as they are`() {
        #expect(hand(Self.service("s1", port: "81")).changed == [Self.reference("s1")])
        #expect(hand(Self.service("s1", port: "81")) == ObjectChanges())
        #expect(hand(Self.service("new", port: "90")).added == [Self.reference("new")])
        #expect(ports == ["s0": 80, "s1": 81, "s2": 80, "s3": 80, "s4": 80, "new": 90])
    }

    @Test mutating func `go one by one, in any order`() {
        #expect(hand("", gone: ["s1", "nobody"]).removed == [Self.reference("s1")])
        #expect(hand(Self.service("s4", port: "84"), gone: ["s0", "s3"]).removed.count == 2)
        #expect(ports == ["s2": 80, "s4": 84])
        #expect(hand(Self.service("s1", port: "81"), gone: ["s2", "s4"]).added == [Self.reference("s1")])
        #expect(ports == ["s1": 81])
        #expect(hand("", gone: ["s1", "s1"]).removed.count == 1)
        #expect(ports.isEmpty)
    }

    @Test mutating func `keep their last good version until a good one comes, or they go`() {
        #expect(hand(Self.service("s1", port: "many")) == ObjectChanges())
        #expect(ports["s1"] == 80 && store.kept == [Self.reference("s1")] && store.inventory.leftOut.isEmpty)
        #expect(hand(Self.service("s2", port: "82")).changed == [Self.reference("s2")])
        #expect(store.kept == [Self.reference("s1")])
        #expect(hand(Self.service("s1", port: "81")).changed == [Self.reference("s1")])
        #expect(ports["s1"] == 81 && store.kept == [])
        _ = hand(Self.service("s1", port: "many"))
        #expect(hand("", gone: ["s1"]).removed == [Self.reference("s1")])
        #expect(ports["s1"] == nil && store.kept == [])
    }

    @Test mutating func `are left out when they never were good`() {
        #expect(hand(Self.service("bad", port: "many")) == ObjectChanges())
        #expect(store.kept == [] && store.inventory.leftOut.map(\.identity.name) == ["bad"])
        #expect(hand(Self.service("bad")).added == [Self.reference("bad")])
        #expect(store.inventory.leftOut.isEmpty)
    }

    @Test mutating func `come between loads of all`() {
        _ = hand(Self.service("s1", port: "81"), gone: ["s0"])
        let changes = store.apply(Self.load(Self.service("s1") + Self.service("s0")).delivery)
        #expect(changes.counts == .init(added: 1, changed: 1, removed: 3))
        #expect(hand("", gone: ["s1"]).removed.count == 1)
        #expect(ports == ["s0": 80])
    }

    @Test func `have a list for each kind`() {
        let kinds =
            ["Gateway", "VirtualService", "DestinationRule", "ServiceEntry", "WorkloadEntry", "Service"]
            + ["EndpointSlice", "Endpoints", "Pod", "Node", "Secret", "AuthorizationPolicy", "RequestAuthentication"]
        for kind in kinds {
            let identity = ObjectReference(kind: kind, namespace: "n", name: "x")
            #expect(Inventory.lists.count { $0.holds(identity) } == 1, "\(kind)")
        }
        #expect(Inventory.lists.count == kinds.count - 1)
    }
}

@Suite struct `A load that is given up` {
    @Test func `leaves what was loaded before, and no trace`() throws {
        let folder = TemporaryFolder()
        let gateway = """
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: gw}
            spec:
              selector: {istio: ingressgateway}
              servers: [{port: {number: 80, name: a, protocol: HTTP}, hosts: ['*']}]

            """
        folder.write("gw.yaml", gateway)
        var options = ControlOptions()
        options.paths = [folder.path]
        let loader = Loader(options: options, metrics: Metrics(version: "test"))
        #expect(loader.load().loaded.objects.count == 1)
        folder.write("gw.yaml", "spec: [")
        let limit = LoadLimit()
        limit.end()
        #expect(loader.load(limit: limit).loaded.isGivenUp)
        let next = loader.load().loaded
        #expect(!next.isGivenUp)
        #expect(next.kept.count == 1)    // the broken file's last good version is the one of the first load
    }
}
