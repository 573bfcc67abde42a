import Balancing
import Reactor
import Testing

@testable import Control
@testable import Proxy

@Suite struct `The lines about health checks` {
    private let start = MonotonicTime(nanoseconds: 5_000_000_000)

    /// As many endpoints of one Service that fail, or pass.
    private func changes(_ count: Int, _ verdict: HealthVerdict = .failed("timed out")) -> HealthText.Changes {
        let numbers = EndpointNumbers()
        return (0..<count).map { number in
            let endpoint = EndpointState(address: .ip("10.0.0.1", port: UInt16(number + 1)), numbers: numbers)
            var record = HealthHistory()
            _ = record.note(verdict, HealthCheckPolicy(method: .tcp))
            return ("a:80", HealthNews(endpoint: endpoint, history: record))
        }
    }

    @Test func `has a number of lines in a second, and one about the rest`() {
        var text = HealthText()
        var lines: [String] = []
        // 10,000 endpoints fail within eight seconds, a few at a time.
        for step in 0..<1000 {
            let now = start + .milliseconds(8 * step)
            if let due = text.due, now >= due { lines += text.settle(at: now) }
            lines += text.lines(of: changes(10), [], at: now)
        }
        lines += text.settle(at: start + .seconds(9))
        #expect(lines.count == 8 * (HealthText.most + 1))
        #expect(lines[0] == "a:80: endpoint 10.0.0.1:1 fails its health check: timed out")
        let summary =
            "health checks, within a second without a line of their own: 1230 endpoints fail their health check"
        #expect(lines[HealthText.most] == summary)
        #expect(text.due == nil && text.settle(at: start + .seconds(20)).isEmpty)
    }

    @Test func `says each change when there are few`() {
        var text = HealthText()
        #expect(text.lines(of: changes(3), [], at: start).count == 3)
        #expect(text.due == start + .seconds(1))
        #expect(text.settle(at: start + .milliseconds(999)).isEmpty && text.settle(at: start + .seconds(1)).isEmpty)
        #expect(text.due == nil)
    }

    @Test func `counts what passes, and clusters that use all endpoints, by themselves`() {
        var text = HealthText()
        let identity = ClusterIdentity(host: "a", port: 80, subset: "", policy: .random)
        let cluster = ClusterState(name: "outbound|80||a", identity: identity, list: EndpointList([]))
        let lines = text.lines(of: changes(HealthText.most) + changes(2, .passed), [(cluster, true)], at: start)
        #expect(lines.count == HealthText.most)
        #expect(
            text.settle(at: start + .seconds(1)) == [
                "health checks, within a second without a line of their own: 2 endpoints pass it again, "
                    + "1 clusters use all endpoints, because too few are well"
            ])
        #expect(
            text.lines(of: [], [(cluster, false)], at: start + .seconds(2)) == [
                "outbound|80||a: enough endpoints are well again: the others are not used"
            ])
    }
}
