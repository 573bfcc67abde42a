import Balancing
import Routing
import Testing

@testable import Proxy

@Suite struct `Pools over reloads` {
    private func pools(_ bench: Bench) -> Int {
        var count = 0
        for first in bench.worker.upstreams.pools {
            var next = first
            while let pool = next {
                count += 1
                next = pool.other
            }
        }
        return count
    }

    @Test func `of clusters that have gone are not kept`() throws {
        var policy = PoolPolicy()
        policy.requests = 10
        let bench = try Bench(pool: policy)
        let server = try bench.server()
        var open: [Peer] = []
        for _ in 0..<50 {
            let client = try bench.client(sending: "GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            let upstream = try #require(try server.accept())
            upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            bench.settle()
            #expect(client.text().hasSuffix("ok"))
            open.append(upstream)
            bench.replaceCluster(pool: policy)
            #expect(pools(bench) == 0)
        }
        // Their connections have ended with them.
        for peer in open { _ = peer.text() }
        #expect(open.allSatisfy { $0.isEnded })
    }

    @Test func `end with the request that was under way`() throws {
        let bench = try Bench(pool: PoolPolicy())
        let server = try bench.server()
        let client = try bench.client(sending: "GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        let upstream = try #require(try server.accept())
        let usage = bench.cluster.usage()
        bench.replaceCluster(pool: PoolPolicy())
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        bench.settle()
        _ = upstream.text()
        #expect(client.text().hasSuffix("ok") && upstream.isEnded && usage.count(.connections) == 0)
    }
}
