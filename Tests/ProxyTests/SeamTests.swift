import Balancing
import HTTP
import Octets
import Reactor
import Routing
import TLS
import Telemetry
import Testing

@testable import Proxy
@testable import Telemetry

/// Where two policies meet.
@Suite struct `Policies together` {
    private static let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"
    private static let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    private let made = PeerCertificates.shared

    private func policy(_ adjust: (inout PoolPolicy) -> Void) -> PoolPolicy {
        var policy = PoolPolicy()
        adjust(&policy)
        return policy
    }

    private func http2Client(_ bench: Bench) throws -> HTTP2Peer {
        let client = HTTP2Peer(try bench.client(), isServer: false)
        client.exchange()
        bench.settle()
        return client
    }

    private func http2Server(_ bench: Bench, _ server: Server) throws -> HTTP2Peer? {
        guard let accepted = try server.accept() else { return nil }
        let peer = HTTP2Peer(accepted, isServer: true)
        exchange(bench, peer)
        return peer
    }

    private func exchange(_ bench: Bench, _ peer: HTTP2Peer) {
        for _ in 0..<3 {
            peer.exchange()
            bench.settle()
        }
    }

    @Test func `the endpoint's TLS name is that of the rewritten authority`() throws {
        let bench = try Bench(rule: "rewrite: {authority: 'x.b.test:80'}", tls: .secure(try made.security()))
        let server = try bench.server()
        _ = try bench.client(sending: "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n")
        let endpoint = try SecurePeer(try #require(try server.accept()), made.selector())
        endpoint.meet(bench)
        #expect(endpoint.progress == .done && endpoint.tls.serverName == "x.b.test")
        #expect(endpoint.text().contains("\r\nhost: x.b.test:80\r\n"))
    }

    @Test func `a copy takes no stream that belongs to the request it is made of`() throws {
        let bench = try Bench(
            isHTTP2: true, rule: "mirror: {host: b}", pool: policy { ($0.streams, $0.connections) = (1, 1) })
        let server = try bench.server()
        let client = try http2Client(bench)
        for _ in 0..<2 {
            let stream = try #require(client.request(["content-type": "application/grpc"]))
            client.finish(stream)
        }
        bench.settle()
        let peer = try #require(try http2Server(bench, server))
        var order: [String] = []
        while order.count < peer.streams.count, order.count < 8 {
            #expect(peer.streams.count == order.count + 1, "more than one stream at a time")
            let stream = peer.streams[order.count]
            order.append(peer.fields[stream]?.contains(":authority: a-shadow\n") == true ? "copy" : "request")
            peer.answer(stream, [":status": "200", "content-type": "application/grpc", "grpc-status": "0"])
            bench.settle()
            exchange(bench, peer)
        }
        #expect(order.count == 4 && order.filter { $0 == "copy" }.count == 2 && order.first == "request", "\(order)")
        #expect(bench.active == 0 && bench.worker.exchanges.mirrors.count == 0)
    }

    @Test func `tries that time out count as resets of their connection`() throws {
        var limits = Limits()
        limits.upstreamResets = 2
        let bench = try Bench(
            limits: limits, isHTTP2: true, rule: "retries: {attempts: 3, perTryTimeout: 1s, retryOn: 5xx}")
        let server = try bench.server()
        let client = try http2Client(bench)
        client.finish(try #require(client.request(["content-type": "application/grpc"])))
        bench.settle()
        let peer = try #require(try http2Server(bench, server))
        #expect(bench.metrics.value(.upstreamResets) == 0)
        for _ in 0..<6 {
            bench.pass(.milliseconds(600))
            exchange(bench, peer)
        }
        #expect(bench.metrics.value(.upstreamResets) == 1)
    }

    @Test func `answers that are tried again count as resets of their connection`() throws {
        var limits = Limits()
        limits.upstreamResets = 2
        let bench = try Bench(limits: limits, isHTTP2: true, rule: "retries: {attempts: 4, retryOn: 5xx}")
        let server = try bench.server()
        let client = try http2Client(bench)
        client.finish(try #require(client.request(["content-type": "text/plain"])))
        bench.settle()
        var peers = [try #require(try http2Server(bench, server))]
        var answered = [0]
        for _ in 0..<12 {
            for (number, peer) in peers.enumerated() {
                while answered[number] < peer.streams.count {
                    // An answer whose body is still to come: it is given up by a reset.
                    peer.answer(peer.streams[answered[number]], [":status": "503"], isEnd: false)
                    answered[number] += 1
                }
                exchange(bench, peer)
            }
            bench.pass(.milliseconds(300))
            if let next = try http2Server(bench, server) {
                peers.append(next)
                answered.append(0)
            }
        }
        // With every second reset, another connection takes over.
        #expect(answered == [2, 2, 1] && bench.metrics.value(.upstreamResets) == 2, "\(answered)")
        #expect(bench.active == 1)    // the client has the last answer
    }

    @Test func `requests behind a connection that has aged have another one made`() throws {
        let bench = try Bench(
            isHTTP2: true, pool: policy { ($0.streams, $0.connections, $0.lifetime) = (1, 1, .seconds(2)) })
        let server = try bench.server()
        let client = try http2Client(bench)
        for _ in 0..<2 { _ = client.request(["content-type": "application/grpc"]) }
        bench.settle()
        let old = try #require(try http2Server(bench, server))
        let early = try server.accept()
        #expect(old.streams.count == 1 && early == nil)
        bench.pass(.seconds(3))
        let fresh = try #require(try http2Server(bench, server))
        #expect(old.streams.count == 1 && fresh.streams.count == 1 && bench.active == 2)
    }

    @Test func `new limits reach a pool whose connection has room`() throws {
        let bench = try Bench(isHTTP2: true, pool: policy { $0.streams = 100 })
        let server = try bench.server()
        let client = try http2Client(bench)
        _ = client.request(["content-type": "application/grpc"])
        bench.settle()
        let first = try #require(try http2Server(bench, server))
        bench.publish(pool: policy { $0.streams = 1 })
        _ = client.request(["content-type": "application/grpc"])
        bench.settle()
        let second = try #require(try http2Server(bench, server))
        #expect(first.streams.count == 1 && second.streams.count == 1)
    }

    @Test(arguments: [false, true])
    func `a relay asks for the certificate that its server asks for now`(isChanged: Bool) throws {
        let bench = try Bench(relays: ListenerRelays(chains: [0]), selector: try made.selector())
        let server = try bench.server()
        let client = try bench.client()
        let security = try made.security()
        let tls = try TLSSession(
            client: security.context, expecting: security.request(host: "a.test", isHTTP2: false),
            descriptor: client.descriptor, resuming: nil)
        _ = tls.handshake()
        bench.settle()
        if isChanged { bench.publish(selector: try made.selector(demandsCertificate: true)) }
        for _ in 0..<4 {
            _ = tls.handshake()
            bench.settle()
        }
        let endpoint = try server.accept()
        #expect((endpoint == nil) == isChanged)
    }
}
