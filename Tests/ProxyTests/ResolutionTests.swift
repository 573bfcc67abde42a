import Balancing
import HTTP
import Octets
import Reactor
import Testing

@testable import Proxy
@testable import Telemetry

/// A bench whose endpoints are the addresses of the host that each request names.
private final class Resolved {
    let hosts: RequestedHosts
    let bench: Bench
    private let numbers = EndpointNumbers()

    init(timeout: Duration? = nil, relays: ListenerRelays = ListenerRelays()) throws {
        hosts = RequestedHosts {}
        bench = try Bench(servers: 0, timeout: timeout, relays: relays, hosts: hosts)
    }

    /// The control plane's part: the only host that was asked for has the bench's server of that number.
    func answer(_ number: Int?) throws -> RequestedHost {
        let fresh = hosts.takeFresh()
        let host = try #require(fresh.first)
        #expect(fresh.count == 1)
        settle(host, number)
        return host
    }

    func settle(_ host: RequestedHost, _ number: Int?) {
        if let number {
            let endpoint = EndpointState(address: .unix(path: "\(bench.name)-\(number)"), numbers: numbers)
            host.cluster.publish(EndpointList([endpoint]))
        }
        host.settle(number == nil ? .failed("cannot resolve it: gone") : .ready)
        bench.post(.hostsSettled([host]))
    }

    var waiting: Int { bench.worker.services.hostWaits.count }

    func get(_ host: String, _ path: String = "/") throws -> Peer {
        try bench.client(sending: "GET \(path) HTTP/1.1\r\nhost: \(host)\r\n\r\n")
    }
}

@Suite struct `A request whose host is its destination` {
    @Test func `waits for the look-up with its body, and goes to what is found`() throws {
        let world = try Resolved()
        let server = try world.bench.server()
        let client = try world.bench.client(
            sending: "POST /w HTTP/1.1\r\nhost: A.Test:81\r\ncontent-length: 6\r\n\r\nabc")
        #expect(world.waiting == 1 && world.bench.active == 1)
        client.send("def")
        world.bench.settle()
        #expect(try server.accept() == nil && client.text().isEmpty)
        let host = try world.answer(0)
        #expect(host.key.name == "a.test" && host.key.port == 80 && world.waiting == 0)
        let upstream = try #require(try server.accept())
        world.bench.settle()
        let request = upstream.text()
        #expect(request.hasPrefix("POST /w HTTP/1.1\r\n") && request.contains("\r\nhost: A.Test:81\r\n"))
        #expect(request.hasSuffix("\r\n\r\nabcdef"))
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        world.bench.settle()
        #expect(client.text().hasSuffix("ok") && world.bench.active == 0)
    }

    @Test func `does not wait when it was resolved before`() throws {
        let world = try Resolved()
        let server = try world.bench.server()
        _ = try world.get("a.test")
        _ = try world.answer(0)
        #expect(try server.accept() != nil)
        _ = try world.get("a.test.", "/2")
        #expect(try server.accept()?.text().hasPrefix("GET /2 ") == true)
        #expect(world.waiting == 0 && world.hosts.count == 1)
    }

    @Test func `goes nowhere else than its host`() throws {
        let world = try Resolved()
        let (first, second) = (try world.bench.server(0), try world.bench.server(1))
        _ = try world.get("a.test", "/a")
        _ = try world.answer(0)
        _ = try world.get("b.test", "/b")
        _ = try world.answer(1)
        #expect(try first.accept()?.text().hasPrefix("GET /a ") == true)
        #expect(try second.accept()?.text().hasPrefix("GET /b ") == true)
        #expect(world.hosts.count == 2)
    }

    @Test func `is answered 503 when there are no addresses, and asks again later`() throws {
        let world = try Resolved()
        let client = try world.get("a.test")
        let host = try world.answer(nil)
        let answer = client.text()
        #expect(answer.hasPrefix("HTTP/1.1 503 ") && answer.contains("DNS resolution failure"))
        #expect(try world.get("a.test").text().hasPrefix("HTTP/1.1 503 "))
        world.hosts.remove([host])
        let server = try world.bench.server()
        _ = try world.get("a.test")
        #expect(world.waiting == 1)
        _ = try world.answer(0)
        #expect(try server.accept() != nil)
    }

    @Test func `asks again when its host is forgotten while it waits`() throws {
        let world = try Resolved()
        let server = try world.bench.server()
        _ = try world.get("a.test")
        let old = try #require(world.hosts.takeFresh().first)
        world.hosts.remove([old])
        world.bench.post(.hostsSettled([old]))
        #expect(world.waiting == 1)
        #expect(try world.answer(0) != old)
        #expect(try server.accept() != nil)
    }

    @Test(arguments: [
        "b.example", "test", ".test", "a..test", "a.test.evil", "127.0.0.1", "[::1]", "a/b.test", "a%2e.test",
        "\(String(repeating: "a", count: 64)).test", "x\(String(repeating: ".a", count: 130)).test",
    ])
    func `is answered 503 at once for a host that is not under the wildcard`(host: String) throws {
        let world = try Resolved()
        let answer = try world.get(host).text()
        #expect(answer.hasPrefix("HTTP/1.1 503 ") || answer.hasPrefix("HTTP/1.1 400 "), "\(answer)")
        #expect(world.hosts.count == 0 && world.waiting == 0)
    }

    @Test func `is forgotten with its client, and when its time is over`() throws {
        let world = try Resolved(timeout: .seconds(1))
        let client = try world.get("a.test")
        #expect(world.waiting == 1)
        client.close()
        world.bench.settle()
        #expect(world.waiting == 0 && world.bench.active == 0)
        let late = try world.get("a.test")
        world.bench.pass(.seconds(2))
        #expect(late.text().hasPrefix("HTTP/1.1 504 ") && world.waiting == 0)
    }

    @Test func `is answered 503 when too many wait, or too many hosts are known`() throws {
        let world = try Resolved()
        let other = RequestedHost(
            key: .init(cluster: world.bench.cluster.identity, port: 80, name: "o.test"), clusterName: "a", at: 0)
        for number in 0..<HostWaits.limit { world.bench.worker.services.hostWaits.join(1_000_000 + number, other) }
        #expect(try world.get("a.test").text().hasPrefix("HTTP/1.1 503 "))
        #expect(world.bench.metrics.value(.hostWaits) == 1)
        for number in 0..<HostWaits.limit { world.bench.worker.services.hostWaits.leave(1_000_000 + number, other) }
        for number in 0..<RequestedHosts.limit {
            _ = world.hosts.find(
                .init(cluster: world.bench.cluster.identity, port: 80, name: "x\(number).test"), clusterName: "a",
                at: 0)
        }
        #expect(world.hosts.count == RequestedHosts.limit)
        #expect(try world.get("b.test").text().hasPrefix("HTTP/1.1 503 "))
        #expect(world.bench.metrics.value(.requestedHosts) == 1 && world.waiting == 0)
    }

    @Test func `lets go of hosts that are forgotten when its worker knows very many`() throws {
        let world = try Resolved()
        let (client, server) = (try world.bench.client(), try world.bench.server())
        for number in 0...2 * RequestedHosts.limit {
            #expect(world.bench.metrics.value(.knownHosts) == 0)
            client.send("GET / HTTP/1.1\r\nhost: x\(number).test\r\n\r\n")
            world.bench.settle()
            let host = try world.answer(0)
            let endpoint = try #require(try server.accept())
            endpoint.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            world.bench.settle()
            endpoint.close()
            #expect(client.text().hasPrefix("HTTP/1.1 200 "))
            world.hosts.remove([host])
        }
        #expect(world.bench.metrics.value(.knownHosts) == 1)
    }

    @Test func `of a new configuration finds what the last one had resolved`() throws {
        let world = try Resolved()
        let server = try world.bench.server()
        _ = try world.get("a.test")
        _ = try world.answer(0)
        #expect(try server.accept() != nil)
        world.bench.publish(pool: nil)
        _ = try world.get("a.test", "/2")
        #expect(try server.accept()?.text().hasPrefix("GET /2 ") == true)
    }
}

@Suite struct `A connection whose server name is its destination` {
    @Test func `is closed when its client names none`() throws {
        let world = try Resolved(relays: ListenerRelays(clear: 0))
        let client = try world.bench.client()
        #expect(client.octets() == [] && client.isEnded)
        #expect(world.hosts.count == 0)
    }
}
