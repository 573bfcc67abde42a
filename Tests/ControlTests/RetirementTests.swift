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

    @Test mutating func `stays until nobody uses it, and is looked at more and more rarely`() {
        #expect(retirement.wait == -1)
        var used: Snapshot? = Self.snapshot()
        weak let watched = used
        retirement.add(used)
        let first = retirement.wait
        for _ in 0..<20 { retirement.look() }
        #expect(watched != nil && retirement.wait > first && retirement.wait <= 2000)
        used = nil
        retirement.look()
        #expect(retirement.wait == -1)
    }

    @Test mutating func `does not wait for another one that is still in use`() {
        let used = Self.snapshot()
        retirement.add(used)
        retirement.add(Self.snapshot(), Loaded())
        retirement.look()
        #expect(retirement.wait > 0)
        withExtendedLifetime(used) {}
    }

    @Test mutating func `that stays gives way to what was replaced beside it`() {
        retirement.add(nil, Loaded(), EndpointTable())
        #expect(retirement.wait > 0)
        retirement.look()
        #expect(retirement.wait == -1)
    }
}
