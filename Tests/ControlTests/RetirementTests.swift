import Proxy
import Reactor
import Routing
import Testing

@testable import Control

@Suite struct `A replaced snapshot` {
    private var retirement = Retirement()

    private static func snapshot() -> Snapshot {
        Snapshot(plan: RoutingPlan(), clusters: [], routeMetrics: [], listeners: [])
    }

    @Test mutating func `stays until nobody uses it, and is looked at more and more rarely`() throws {
        #expect(retirement.wait == -1)
        var used: Snapshot? = Self.snapshot()
        weak let watched = used
        retirement.add(try #require(used), nil)
        let first = retirement.wait
        for _ in 0..<20 { retirement.look() }
        #expect(watched != nil && retirement.wait > first && retirement.wait <= 2000)
        used = nil
        retirement.look()
        #expect(retirement.wait == -1)
    }

    @Test mutating func `does not wait for another one that is still in use`() {
        let used = Self.snapshot()
        retirement.add(used, nil)
        retirement.add(Self.snapshot(), Loaded())
        retirement.look()
        #expect(retirement.wait > 0)
        withExtendedLifetime(used) {}
    }
}
