import HTTP
import Octets
import Synchronization
import Testing

@testable import Proxy

/// What a client sends on a connection that the gateway has ended already.
@Suite struct `A connection that has ended` {
    private static let nonsense = "GET / HTTP/1.1\r\n\r\n"

    private func ended(_ bench: Bench) throws -> Peer {
        let client = try bench.client(sending: Self.nonsense)
        let answer = client.text()
        #expect(answer.hasPrefix("HTTP/1.1 400 ") && client.isEnded, "\(answer)")
        #expect(connections(bench) == 1, "it does not wait for the client's end")
        return client
    }

    private func connections(_ bench: Bench) -> Int { bench.status.downstreamConnections.load(ordering: .relaxed) }

    /// An attacker's sockets keep more than a megabyte, and a thousand such connections may end in a second.
    @Test func `throws little away in a turn, and counts that as work of the turn`() throws {
        let bench = try Bench()
        let client = try ended(bench)
        let sent = client.push(Array(repeating: 0, count: 3 * Connections.inputOctets)[...])
        try #require(sent > 2 * Connections.inputOctets)
        var (turns, work) = (0, Int32(0))
        repeat {
            bench.worker.turn(isHurried: true)
            turns += 1
            work += bench.worker.services.pools.work
            #expect(work < Int32(turns) * WorkBudget.quotaPerTurn / 4, "\(work) in \(turns)")
        } while bench.worker.hasMoreToDo && turns < 10
        let least = sent / Connections.inputOctets
        #expect((least...least + 2).contains(turns) && work > Int32(sent / 128), "\(work) in \(turns)")
        #expect(connections(bench) == 1)
        client.finish()
        bench.worker.turn(isHurried: true)
        #expect(connections(bench) == 0)
    }

    /// The kernel says that there are octets and that they end, once.
    @Test func `is closed when the client has ended its side, too, behind octets that nobody wants`() throws {
        let bench = try Bench()
        let client = try ended(bench)
        client.send(Self.nonsense)
        client.finish()
        bench.worker.turn(isHurried: true)
        #expect(connections(bench) == 0)
        #expect(!bench.worker.hasMoreToDo)
    }
}
