import HTTP
import Octets
import Reactor
import Telemetry
import Testing

@testable import Proxy

/// The ends of clients' connections, by a clock that is moved by hand. With real peers: `Gateway/test_doctor.py`.
@Suite struct `The end of a client's connection` {
    private func findings(_ bench: Bench) -> [FrontLedger.Entry] { FrontLedger.joined([bench.metrics.front]) }

    /// A client whose one request is answered, or not.
    private func client(of bench: Bench, answered: Bool) throws -> Peer {
        let server = try bench.server()
        let client = try bench.client(sending: "GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        let upstream = try #require(try server.accept())
        bench.settle()
        if answered {
            upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            bench.settle()
            #expect(client.text().hasPrefix("HTTP/1.1 200"))
        }
        return client
    }

    @Test func `that was idle for long is noted with its silence`() throws {
        let bench = try Bench()
        let client = try client(of: bench, answered: true)
        bench.pass(.seconds(60))
        client.close()
        bench.settle()
        let entry = try #require(findings(bench).first)
        #expect(entry.finding == .idleClosed && entry.count == 1)
        var silences = Silences()
        silences.add(60)
        #expect(entry.silences == silences)
    }

    @Test func `is not noted when it was in use a moment ago`() throws {
        let bench = try Bench()
        let client = try client(of: bench, answered: true)
        bench.pass(.seconds(9))
        client.close()
        bench.settle()
        #expect(findings(bench).isEmpty)
    }

    @Test func `with a silent request is noted as one that harms`() throws {
        let bench = try Bench()
        let client = try client(of: bench, answered: false)
        bench.pass(.seconds(11))
        client.close()
        bench.settle()
        #expect(findings(bench).map(\.finding) == [.silentCut])
    }

    @Test func `that has never said anything is a check if it is soon`() throws {
        let bench = try Bench()
        for wait in [1, 11] {
            let client = try bench.client()
            bench.settle()
            bench.pass(.seconds(wait))
            client.close()
            bench.settle()
        }
        #expect(findings(bench).map { "\($0.finding) \($0.count)" } == ["bareCheck 1"])
    }

    @Test func `that we have announced is nobody's mistake`() throws {
        let bench = try Bench()
        let client = try client(of: bench, answered: true)
        bench.pass(.seconds(60))
        bench.post(.announceShutdown)
        client.close()
        bench.settle()
        #expect(findings(bench).isEmpty)
    }
}
