import Testing

@testable import Balancing

/// Source: envoyproxy/envoy docs/root/intro/arch_overview/upstream/load_balancing/slow_start.rst.
@Suite struct `An endpoint that warms up` {
    private static let second: UInt64 = 1_000_000_000

    private func policy(_ aggression: Double = 1, minimum: Double = 0.1) -> WarmupPolicy {
        WarmupPolicy(window: .seconds(10), minimum: minimum, aggression: aggression)
    }

    @Test(arguments: [
        (1.0, 0.0, 0.1), (1.0, 0.5, 0.1), (1.0, 5.0, 0.5), (1.0, 9.9, 0.99), (1.0, 10.0, 1.0), (1.0, 99.0, 1.0),
        (2.0, 2.5, 0.5), (2.0, 9.0, 0.9486832980505138), (0.5, 5.0, 0.25), (0.4, 5.0, 0.1767766952966369),
        (1.5, 1.25, 0.25), (1e-9, 5.0, 0.1), (1e6, 0.1, 0.999995394839),
    ])
    func `has a part of its weight by its time`(aggression: Double, seconds: Double, expected: Double) {
        let factor = policy(aggression).factor(after: UInt64(seconds * Double(Self.second)))
        #expect(abs(factor - expected) < 1e-9, "\(factor)")
    }

    @Test func `has never nothing, and windows of any length hold`() {
        #expect(policy(0.001, minimum: 0).factor(after: 0) > 0)
        for window in [Duration.milliseconds(1), .seconds(Int64.max)] {
            let policy = WarmupPolicy(window: window, minimum: 0, aggression: 1)
            #expect((0...1).contains(policy.factor(after: 1)) && policy.factor(after: .max) <= 1)
            #expect(policy.interval(count: .max) > 0)
        }
    }

    private func picks(_ some: SomeCluster, _ amount: Int) -> [Int] { some.picks(amount) }

    @Test(arguments: [BalancingPolicy.roundRobin, .leastRequest])
    func `gets its share step by step`(balancing: BalancingPolicy) {
        let some = SomeCluster(balancing, 3)
        let old = Array(some.states.prefix(2))
        some.publish(old)
        some.state.warm(by: policy()) {}
        #expect(some.picks(100) == [50, 50, 0], "those of a new cluster are equal")
        #expect(some.state.settle(at: Self.second).due != nil)
        #expect(some.state.settle(at: 20 * Self.second).due == nil, "all are warm")
        some.publish(some.states)
        #expect(some.picks(210) == [100, 100, 10])
        #expect(some.state.settle(at: 100 * Self.second).due == 100 * Self.second + 100_060_000)
        #expect(some.picks(210) == [100, 100, 10])
        _ = some.state.settle(at: 105 * Self.second)
        #expect(some.picks(250) == [100, 100, 50])
        #expect(some.state.settle(at: 110 * Self.second).due == nil)
        #expect(some.picks(300) == [100, 100, 100])
    }

    @Test func `counts as busier than a warm one in LEAST_REQUEST`() {
        let some = SomeCluster(.leastRequest, 2)
        some.publish([some.states[0]])
        some.state.warm(by: policy()) {}
        _ = some.state.settle(at: 0)
        _ = some.state.settle(at: 20 * Self.second)
        some.publish(some.states)
        some.occupy(0, 40)
        some.occupy(1, 10)
        // 41 of weight 10 are less than 11 of weight 1.
        #expect(some.picks(110)[0] >= 95)
    }

    @Test func `is woken for, and keeps its time over another policy and other endpoints`() {
        let some = SomeCluster(.roundRobin, 3)
        some.publish([some.states[0]])
        some.state.warm(by: policy()) {}
        _ = some.state.settle(at: 0)
        _ = some.state.settle(at: 50 * Self.second)
        some.publish(Array(some.states.prefix(2)))
        _ = some.state.settle(at: 100 * Self.second)
        some.state.warm(by: policy(minimum: 0.2)) {}
        some.publish([some.states[1], some.states[0]])
        _ = some.state.settle(at: 105 * Self.second)
        #expect(some.picks(150) == [100, 50, 0])
        some.state.warm(by: nil) {}
        #expect(some.picks(150) == [75, 75, 0])
        #expect(some.state.settle(at: 106 * Self.second).due == nil)
    }

    @Test func `warms up in its level, and beside ejections`() {
        let some = SomeCluster(.roundRobin, 4)
        some.state.arrange(by: .shares([50, 50]))
        some.state.publish(EndpointList(some.states.dropLast(), ranks: [0, 0, 1]))
        some.state.detectOutliers(OutlierPolicy()) {}
        some.state.warm(by: policy()) {}
        _ = some.state.settle(at: 0)
        _ = some.state.settle(at: 50 * Self.second)
        some.state.publish(EndpointList(some.states, ranks: [0, 0, 1, 1]))
        let picks = some.picks(440)
        #expect(picks == [110, 110, 200, 20])
    }

    @Test func `has a small share in a large cluster, too`() {
        let some = SomeCluster(.roundRobin, 3000)
        some.publish(some.states.dropLast())
        some.state.warm(by: policy()) {}
        _ = some.state.settle(at: 0)
        _ = some.state.settle(at: 50 * Self.second)
        some.publish(some.states)
        let picks = some.picks(30_000)
        #expect(picks[0] == 10 || picks[0] == 11)
        #expect(picks[2999] <= 2)
    }
}
