import HTTP
import Octets
import Synchronization
import Testing

@testable import Proxy

/// Requests and their connection that are given up in the same turn, because memory or places are short.
@Suite struct `A connection that is given up` {
    private func scene(isHTTP2: Bool) throws -> (bench: Bench, client: HTTP2Peer, stream: Int) {
        let bench = try Bench(isHTTP2: isHTTP2)
        _ = try bench.server()
        let client = HTTP2Peer(try bench.client(), isServer: false)
        client.exchange()
        let stream = try #require(client.request(["content-type": "application/grpc"]))
        bench.settle()
        #expect(bench.active == 1)
        return (bench, client, stream)
    }

    @Test(arguments: [false, true]) func `leaves no request behind that has ended a moment before`(isHTTP2: Bool) throws
    {
        let (bench, _, _) = try scene(isHTTP2: isHTTP2)
        bench.worker.exchanges.with(0) { $0.memoryEnded() }
        bench.post(.connectionsWanted(idleToo: true, listener: nil))
        #expect(bench.active == 0 && bench.status.downstreamConnections.load(ordering: .relaxed) == 0)
    }

    @Test func `leaves no request behind that is still running`() throws {
        let (bench, _, _) = try scene(isHTTP2: true)
        let connections = bench.worker.connections
        var given = 0
        bench.worker.loop.forEachConnection { connection in
            guard connection.role == .downstream else { return }
            given += 1
            connections.giveUp(connection, .overloaded)
        }
        bench.settle()
        #expect(given == 1 && bench.active == 0)
    }
}
