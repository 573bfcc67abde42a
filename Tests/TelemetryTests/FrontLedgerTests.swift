import HTTP
import Reactor
import Testing

@testable import Telemetry

private func at(_ seconds: Int) -> WallTime { WallTime(seconds: seconds, nanoseconds: 0) }

@Suite struct `What listeners tell of the load balancer in front` {
    @Test func `is counted with its first and last time and an example`() throws {
        let ledger = FrontLedger()
        var asked = 0
        for (place, second) in [100, 100, 100, 130].enumerated() {
            let isDue = ledger.note(.idleReset, on: "a:80", at: at(second), silence: 60) {
                asked += 1
                return "peer \(place)"
            }
            #expect(isDue == (place == 0))
        }
        let entry = try #require(FrontLedger.joined([ledger]).first)
        #expect((entry.count, entry.first.seconds, entry.last.seconds, entry.peer) == (4, 100, 130, "peer 3"))
        #expect(asked == 2, "a peer is asked for at most once a second")
    }

    @Test func `is said in a message once, and again after a minute`() {
        let ledger = FrontLedger()
        let due = [0, 1, 59, 60, 130, 195].map { ledger.note(.tlsOnClearText, on: "a", at: at($0)) { "p" } }
        #expect(due == [true, false, false, false, true, true])
    }

    @Test func `is joined from all workers`() throws {
        let (one, other) = (FrontLedger(), FrontLedger())
        _ = one.note(.idleClosed, on: "a", at: at(10), silence: 60) { "old" }
        _ = other.note(.idleClosed, on: "a", at: at(5), silence: 60) { "older" }
        _ = other.note(.idleClosed, on: "a", at: at(20), silence: 61) { "new" }
        _ = other.note(.tlsOnClearText, on: "b", at: at(20)) { "x" }
        let entries = FrontLedger.joined([one, other])
        #expect(entries.map(\.finding) == [.tlsOnClearText, .idleClosed], "what harms comes first")
        let entry = try #require(entries.last)
        #expect((entry.count, entry.first.seconds, entry.last.seconds, entry.peer) == (3, 5, 20, "new"))
    }

    @Test func `is bounded, however many listeners come and what peers say`() {
        let ledger = FrontLedger()
        for number in 0..<10_000 {
            _ = ledger.note(.strayCheck, on: "l\(number)", at: at(1), detail: String(repeating: "x", count: 1000)) {
                "p"
            }
        }
        let entries = FrontLedger.joined([ledger])
        #expect(entries.count <= FrontLedger.mostListeners * FrontFinding.allCases.count + FrontFinding.allCases.count)
        #expect(entries.allSatisfy { $0.detail.count <= FrontLedger.mostDetail })
        #expect(entries.reduce(0) { $0 + $1.count } == 10_000)
    }

    @Test func `has words and advice for each finding`() {
        for finding in FrontFinding.allCases {
            #expect(!finding.sentence.hasSuffix(".") && finding.effect.hasSuffix("."), "\(finding)")
            #expect(!finding.fixes.isEmpty, "\(finding)")
        }
        #expect(Set(FrontFinding.allCases.map(\.name)).count == FrontFinding.allCases.count)
    }

    @Test func `begins with refusals that only a wrong setting explains`() {
        let found = Refusal.all.compactMap { FrontFinding($0) }
        #expect(
            Set(found) == [
                .tlsOnClearText, .proxyHeaderUnexpected, .clearTextOnTLS, .proxyHeaderMissing, .proxyHeaderUntrusted,
            ])
    }
}

@Suite struct `The silence before connections end` {
    private func typical(_ seconds: [UInt32]) -> UInt32? {
        var silences = Silences()
        for second in seconds { silences.add(second) }
        return silences.typical
    }

    @Test func `is an idle timeout when most are alike`() {
        #expect(typical([60, 60, 61, 60]) == 60)
        #expect(typical([350, 352, 351, 17, 349, 350, 350, 12]) == 350)
    }

    @Test func `is none when they differ or are few`() {
        #expect(typical([60, 60, 60]) == nil)
        #expect(typical([10, 25, 61, 90, 300]) == nil)
        #expect(typical([]) == nil)
    }

    @Test func `is that of the last ones`() {
        #expect(typical(Array(repeating: 60, count: 40) + Array(repeating: 350, count: 16)) == 350)
        #expect(typical(Array(repeating: .max, count: 20)) == .max)
        #expect(typical(Array(repeating: 0, count: 20)) == 0)
    }
}
