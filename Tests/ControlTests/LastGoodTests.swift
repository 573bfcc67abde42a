import Manifests
import Proxy
import Support
import Telemetry
import Testing

@testable import Control

@Suite struct `The last good state` {
    private var lastGood = LastGood()

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
        let services = lastGood.merge(set).services
        return Dictionary(uniqueKeysWithValues: services.map { ($0.meta.name, $0.ports.first?.number ?? 0) })
    }

    @Test mutating func `is what was read, while all is well`() {
        #expect(ports(["a": Self.service("x") + Self.service("w")]) == ["x": 80, "w": 80])
        #expect(ports(["a": Self.service("x", port: "81")]) == ["x": 81])
        #expect(lastGood.kept == [])
    }

    @Test mutating func `keeps what was below a folder that cannot be read, and lets go of what is gone`() {
        let all = Dictionary(uniqueKeysWithValues: (0..<5000).map { ("d/\($0).yaml", Self.service("x\($0)")) })
        #expect(ports(all).count == 5000)
        for folder in ["e", "e/", "d/1", "/d"] {
            var set = Self.load(["d/0.yaml": Self.service("x0")])
            set.brokenFiles = [folder]
            var other = lastGood
            #expect(other.merge(set).services.count == 1)
        }
        for folder in ["d", "d/"] {
            var set = Self.load(["d/0.yaml": Self.service("x0")])
            set.brokenFiles = [folder]
            var other = lastGood
            #expect(other.merge(set).services.count == 5000)
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
        #expect(lastGood.kept.map(\.description) == ["Service default/x"])
        #expect(ports(broken) == ["x": 80, "w": 81])
        #expect(ports(["a": Self.service("x", port: "82")]) == ["x": 82])
        #expect(lastGood.kept == [])
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
        #expect(lastGood.kept == [])
    }

    @Test mutating func `has nothing for an object that never was good`() {
        #expect(ports(["a": Self.service("x", port: "many")]) == [:])
        #expect(lastGood.kept == [])
    }

    @Test mutating func `closes what a policy of access closed, when its file is broken`() {
        let policy = """
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: guard}
            spec: {selector: {matchLabels: {istio: ingressgateway}}}

            """
        _ = lastGood.merge(Self.load(["a": policy, "b": Self.service("x")]))
        for _ in 0..<2 {
            let broken = lastGood.merge(Self.load(["a": "x: [", "b": Self.service("x")]))
            #expect(broken.accessPolicies.map(\.identity.name) == ["guard"])
            #expect(lastGood.kept.map(\.name) == ["guard"])
        }
        #expect(lastGood.merge(Self.load(["a": "", "b": Self.service("x")])).accessPolicies.isEmpty)
    }

    @Test mutating func `is in effect, so that nobody is told that the object was left out`() {
        let broken = Self.load(["a": Self.service("x", port: "many")])
        #expect(lastGood.merge(broken).leftOut.map(\.identity.name) == ["x"])
        _ = lastGood.merge(Self.load(["a": Self.service("x")]))
        #expect(lastGood.merge(broken).leftOut.isEmpty)
    }

    @Test mutating func `keeps what a broken file defined, not what another file did`() {
        _ = ports(["a": Self.service("x"), "b": Self.service("w"), "c": Self.service("z")])
        #expect(ports(["a": "x: [", "b": Self.service("w")]) == ["x": 80, "w": 80])
        #expect(lastGood.kept.map(\.name) == ["x"])
    }

    @Test mutating func `gives way to an object that moved out of its broken file`() {
        _ = ports(["a": Self.service("x")])
        #expect(ports(["a": "x: [", "b": Self.service("x", port: "81")]) == ["x": 81])
        #expect(lastGood.kept == [])
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
        _ = lastGood.merge(sound)
        for _ in 0..<2 {
            let merged = lastGood.merge(impaired)
            #expect(merged.virtualServices.count == 1)
            #expect(merged.virtualServices.first?.http.first?.timeout?.value == .seconds(5))
            #expect(lastGood.kept.count == 1)
        }
        _ = lastGood.merge(sound)
        #expect(lastGood.kept == [])
    }

    @Test mutating func `takes the newer of two objects that both lack a part`() {
        _ = lastGood.merge(Self.load(["a": Self.routes(timeout: "soon")]))
        let merged = lastGood.merge(Self.load(["a": Self.routes(timeout: "later")]))
        #expect(merged.virtualServices.count == 1)
        #expect(lastGood.kept == [])
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
