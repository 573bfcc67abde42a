import Manifests
import Testing

@Suite struct `The seeds` {
    let set = ManifestReader.load(paths: [Fixtures.seeds])

    @Test func `load without an error or a warning`() {
        #expect(set.sources.count == 7)
        #expect(set.diagnostics.filter { $0.severity != .note }.text == "")
        #expect(set.rejected.isEmpty && set.impaired.isEmpty && set.brokenFiles.isEmpty)
    }

    @Test func `give one note for the one kind that is not read`() {
        #expect(set.diagnostics.map(\.code) == ["unread-kind"])
        #expect(
            set.diagnostics.first?.message
                == "Deployment (extensions/v1beta1): not read; a gateway needs nothing of it")
    }

    @Test func `give all their objects`() {
        let inventory = set.inventory
        #expect(inventory.gateways.count == 5)
        #expect(inventory.virtualServices.count == 6)
        #expect(inventory.destinationRules.count == 1)
        #expect(inventory.services.count == 5)
        #expect(inventory.endpointSlices.count == 1)
        #expect(inventory.pods.count == 7)
    }

    @Test func `decode to the values that were written`() throws {
        let edge = try #require(
            set.inventory.virtualServices.first { $0.meta.name == "k8s-combat-edge" })
        #expect(edge.gateways.map(\.value) == ["edge"])
        let split = try #require(edge.http.dropFirst().first)
        #expect(split.timeout?.value == .seconds(5))
        #expect(split.destinations.map { $0.weight?.value } == [10, 90])
        #expect(split.destinations.map { $0.destination.subset?.value } == ["v1", "v2"])
        #expect(split.destinations.last?.weight?.path == "spec.http[1].route[1].weight")
        #expect(!split.isBroken && split.closings.isEmpty)
        guard case .exact(let path) = split.matches.first?.uri else {
            Issue.record("no exact path")
            return
        }
        #expect(path == "/helloworld.Greeter/SayHello")
    }

    @Test func `know the places of their fields`() throws {
        let gateway = try #require(
            set.inventory.gateways.first { $0.meta.name == "main-server-gateway" })
        let port = try #require(gateway.servers.first?.port.number)
        #expect(port.value == 8888)
        #expect(port.place.line == 12)
        #expect(port.place.column == 15)
        #expect(port.path == "spec.servers[0].port.number")
    }

    @Test func `keep pods' addresses, readiness and port names`() throws {
        let pod = try #require(set.inventory.pods.first { $0.meta.name.hasPrefix("native-tools") })
        #expect(pod.addresses == ["127.0.5.1"])
        #expect(pod.isReady && !pod.isTerminating)
        #expect(pod.ports.map(\.name) == ["grpc"])
        #expect(pod.ports.map(\.number) == [50053])
    }
}
