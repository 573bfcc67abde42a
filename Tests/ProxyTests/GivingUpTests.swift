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

    /// The endpoint allows no streams any more, and the same octets end the only one: the connection is of no use
    /// before the answer was passed on. Source: RFC 9113 §5.1.2.
    @Test func `passes on the answer that came with the reason for it`() throws {
        let bench = try Bench(isHTTP2: true)
        let server = try bench.server()
        let client = try bench.client(sending: "GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        let connection = try #require(try server.accept())
        let endpoint = HTTP2Peer(connection, isServer: true)
        for _ in 0..<3 {
            endpoint.exchange()
            bench.settle()
        }
        #expect(endpoint.streams.count == 1 && bench.active == 1)
        let settings: [UInt8] = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0]
        let answer: [UInt8] = [0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88]
        #expect(connection.push((settings + answer)[...]) == settings.count + answer.count)
        bench.settle()
        #expect(client.text().hasPrefix("HTTP/1.1 200 ") && bench.active == 0)
        connection.close()
        bench.settle()
        var upstreams = 0
        bench.worker.loop.forEachConnection { if $0.role == .upstream { upstreams += 1 } }
        #expect(upstreams == 0)
    }

    /// A connection may be closed by what it has noted itself, before all of that was acted on.
    @Test func `tells the owners of ends that were noted and not acted on`() throws {
        let bench = try Bench(isHTTP2: true)
        let server = try bench.server()
        let client = try bench.client(sending: "GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        let endpoint = HTTP2Peer(try #require(try server.accept()), isServer: true)
        endpoint.exchange()
        bench.settle()
        var upstream: Connection?
        bench.worker.loop.forEachConnection { if $0.role == .upstream { upstream = $0 } }
        let connection = try #require(upstream)
        guard case .http2(let session) = connection.session else { return #expect(Bool(false)) }
        let answer: [UInt8] = [0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88]
        unsafe answer.withUnsafeBytes { octets in
            var rest = unsafe Octets(octets)
            #expect(session { $0.receive(&rest) })
        }
        #expect(connection.session.openStreams == 0 && connection.session.hasNoted)
        bench.worker.connections.close(connection)
        bench.settle()
        #expect(bench.active == 0 && client.text().hasPrefix("HTTP/1.1 503 "))
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
