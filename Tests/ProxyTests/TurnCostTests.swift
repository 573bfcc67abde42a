import HTTP
import Octets
import Synchronization
import Testing

@testable import Proxy

/// What is counted as work of a turn beside requests, so that others are served in between.
@Suite struct `The work of a turn` {
    private func work(_ bench: Bench) -> Int32 {
        bench.worker.turn(isHurried: true)
        return bench.worker.services.pools.work
    }

    private func connections(_ bench: Bench) -> Int { bench.status.downstreamConnections.load(ordering: .relaxed) }

    @Test func `is that of connections that come, too`() throws {
        let bench = try Bench()
        let crowd = try bench.crowd(5)
        #expect(work(bench) == 5 * TurnCost.accepting)
        #expect(crowd.count == connections(bench))
    }

    @Test func `is that of connections that go, most of which wait when many go at once`() throws {
        let bench = try Bench()
        let crowd = try bench.crowd(100)
        bench.settle()
        #expect(connections(bench) == crowd.count)
        for peer in crowd { peer.close() }
        var turns = 0
        while connections(bench) > 0, turns < 100 {
            let before = connections(bench)
            #expect(work(bench) < 2 * WorkBudget.quotaPerTurn)
            #expect(connections(bench) < before)
            turns += 1
        }
        #expect(connections(bench) == 0)
        #expect(turns > 2 && !bench.worker.hasMoreToDo)
    }

    @Test func `is that of handshakes, of which few begin in a turn`() throws {
        let made = PeerCertificates.shared
        let bench = try Bench()
        bench.publish(selector: try made.selector())
        let crowd = try bench.crowd(10)
        bench.settle()
        // The beginning of a ClientHello: a record of 512 octets.
        for peer in crowd { _ = peer.push([0x16, 3, 1, 2, 0, 1]) }
        // A turn's work is timed by a clock that each look moves on by 100 µs, half a quota.
        bench.clock.step = .microseconds(100)
        for begun in [2, 4, 6, 8, 10] {
            bench.worker.turn(isHurried: true)
            #expect(bench.worker.listeners.handshakes.count == begun)
            #expect(bench.worker.hasMoreToDo == (begun < 10))
        }
    }
}
