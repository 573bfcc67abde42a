import HTTP
import Octets
import Reactor
import Testing

@testable import Balancing
@testable import Proxy
@testable import Telemetry

/// Calls to an endpoint that allows one stream on its only connection, and takes 100 ms for an answer.
@Suite struct `A call with a deadline` {
    /// A stream whose number others may have had before.
    private struct Call {
        let stream: Int
        let before: Int
    }

    private struct Scene {
        let bench: Bench
        let client: HTTP2Peer
        let endpoint: HTTP2Peer

        func call(_ timeout: String?) throws -> Call {
            var fields = ["content-type": "application/grpc"]
            if let timeout { fields["grpc-timeout"] = timeout }
            let stream = try #require(client.request(fields))
            let call = Call(stream: stream, before: client.seen(stream).count)
            settle()
            return call
        }

        func settle() {
            for _ in 0..<4 {
                bench.settle()
                endpoint.exchange()
                client.exchange()
            }
        }

        /// The endpoint answers what it was asked last, after so long.
        func answer(after time: Duration) throws {
            bench.pass(time)
            endpoint.exchange()
            endpoint.answer(
                try #require(endpoint.streams.last),
                [":status": "200", "content-type": "application/grpc", "grpc-status": "0"])
            settle()
        }

        var shed: UInt64 { bench.metrics.value(.hopelessDeadlines) }
    }

    /// - Parameter answers: how many calls the endpoint has answered already.
    private func scene(answers: Int = 40, isOn: Bool = true) throws -> Scene {
        var limits = Limits()
        limits.upstreamConnections = 1
        limits.shedsByDeadline = isOn
        let bench = try Bench(limits: limits, isHTTP2: true)
        let server = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        client.exchange()
        let first = try #require(client.request(["content-type": "application/grpc"]))
        bench.settle()
        let endpoint = HTTP2Peer(try #require(try server.accept()), isServer: true, mostStreams: 1)
        let scene = Scene(bench: bench, client: client, endpoint: endpoint)
        scene.settle()
        try scene.answer(after: .milliseconds(100))
        #expect(client.seen(first).first?.contains("grpc-status: 0") == true)
        for _ in 1..<max(answers, 1) {
            _ = try scene.call(nil)
            try scene.answer(after: .milliseconds(100))
        }
        return scene
    }

    private func text(_ scene: Scene, _ call: Call) -> String {
        scene.client.seen(call.stream).dropFirst(call.before).first ?? ""
    }

    @Test func `that has passed is not sent`() throws {
        let scene = try scene()
        let before = scene.endpoint.streams.count
        for timeout in ["0n", "1n", "0S", "49u"] {
            let stream = try scene.call(timeout)
            #expect(text(scene, stream).contains("grpc-status: 4"), "\(timeout)")
        }
        #expect(scene.endpoint.streams.count == before)
    }

    @Test func `gives its endpoint what is left of it`() throws {
        let scene = try scene()
        let holder = try scene.call(nil)
        _ = try scene.call("500m")
        try scene.answer(after: .milliseconds(100))
        #expect(text(scene, holder).contains("grpc-status: 0"))
        let asked = try #require(scene.endpoint.streams.last)
        #expect(scene.endpoint.fields[asked]?.contains("grpc-timeout: 400") == true, "\(scene.endpoint.fields)")
    }

    @Test func `that an endpoint in overload mostly does not meet is answered at once`() throws {
        let scene = try scene()
        let holder = try scene.call(nil)
        let hasty = try scene.call("50m")
        #expect(text(scene, hasty).contains("grpc-status: 4"))
        #expect(text(scene, hasty).contains("half of the endpoint"))
        let patient = try scene.call("500m")
        #expect(text(scene, patient).isEmpty && scene.shed == 1)
        try scene.answer(after: .milliseconds(10))
        try scene.answer(after: .milliseconds(100))
        #expect(text(scene, holder).contains("grpc-status: 0") && text(scene, patient).contains("grpc-status: 0"))
        #expect(scene.bench.active == 0)
    }

    @Test func `that has become too near while it waited is not sent`() throws {
        let scene = try scene()
        _ = try scene.call(nil)
        let waiting = try scene.call("150m")
        let next = try scene.call(nil)
        let before = scene.endpoint.streams.count
        try scene.answer(after: .milliseconds(100))
        #expect(text(scene, waiting).contains("grpc-status: 4") && scene.shed == 1)
        #expect(scene.endpoint.streams.count == before + 1, "whoever is next gets the connection")
        try scene.answer(after: .milliseconds(100))
        #expect(text(scene, next).contains("grpc-status: 0") && scene.bench.active == 0)
    }

    @Test func `is sent to an endpoint that has room, however near it is`() throws {
        let scene = try scene()
        let stream = try scene.call("50m")
        try scene.answer(after: .milliseconds(10))
        #expect(text(scene, stream).contains("grpc-status: 0") && scene.shed == 0)
    }

    @Test(arguments: [(5, true, 0), (40, false, 0), (40, true, 11_000)])
    func `waits where too little is known, or it is not wanted`(answers: Int, isOn: Bool, pause: Int) throws {
        let scene = try scene(answers: answers, isOn: isOn)
        scene.bench.pass(.milliseconds(pause))
        _ = try scene.call(nil)
        let hasty = try scene.call("50m")
        #expect(text(scene, hasty).isEmpty && scene.shed == 0)
        scene.bench.pass(.milliseconds(51))
        scene.settle()
        #expect(text(scene, hasty).contains("grpc-status: 4"), "its deadline is its end all the same")
    }
}
