import Testing

@testable import Balancing

@Suite struct `A cluster whose endpoints are checked` {
    private let some = SomeCluster(.roundRobin, 4)
    private let counts = HealthCounts(name: "c:80")

    private func detectOutliers(_ policy: OutlierPolicy? = nil) { some.state.detectOutliers(policy, health: counts) {} }

    private func fail(_ places: Int...) -> Bool? {
        for place in places { some.states[place].health = .failing }
        return some.state.healthChanged()
    }

    /// Which endpoints are chosen.
    private var chosen: Set<Int> { Set(some.order(16)) }

    @Test func `chooses none that fails`() {
        detectOutliers()
        #expect(fail(1) == nil && chosen == [0, 2, 3])
        some.states[1].health = .available
        #expect(some.state.healthChanged() == nil && chosen == [0, 1, 2, 3])
    }

    @Test func `chooses none that has joined and was not checked`() {
        detectOutliers()
        let joined = SomeCluster.endpoint(9, EndpointNumbers())
        joined.health = .pending
        some.publish(some.states + [joined])
        #expect(Set(some.order(20)).count == 4 && some.state.detector?.unavailableCount == 1)
        joined.health = .available
        _ = some.state.healthChanged()
        var names: Set<String> = []
        for _ in 0..<20 { names.insert(some.cluster.next(random: 0)?.name ?? "") }
        #expect(names.count == 5)
    }

    @Test func `uses all when fewer than half are well, and says so`() {
        detectOutliers()
        #expect(fail(0, 1) == nil && chosen == [2, 3])
        #expect(fail(2) == true && chosen == [0, 1, 2, 3])
        some.states[0].health = .available
        #expect(some.state.healthChanged() == false && chosen == [0, 3])
    }

    @Test func `uses none when outlierDetection says that nothing is better than the unwell`() {
        detectOutliers(OutlierPolicy())    // its minHealthPercent is 0
        #expect(fail(0, 1, 2, 3) == nil && some.cluster.next(random: 0) == nil)
    }

    @Test func `counts the ejected and the unwell together, each once`() {
        var policy = OutlierPolicy()
        (policy.consecutive5xx, policy.maxEjectionPercent, policy.minHealthPercent) = (1, 100, 60)
        detectOutliers(policy)
        let endpoint = some.cluster.next(random: 0)
        endpoint?.observer?.note(.answered(503), at: 0)
        _ = some.state.settle(at: 1)
        let ejected = endpoint?.number ?? -1
        #expect(!chosen.contains(ejected) && chosen.count == 3)
        some.states[ejected].health = .failing
        #expect(some.state.healthChanged() == nil && chosen.count == 3)
        let other = (ejected + 1) % 4
        #expect(fail(other) == true && chosen.count == 4, "two of four are fewer than 60 %")
    }

    @Test func `ends an ejection when the endpoint has passed a check since`() {
        var policy = OutlierPolicy()
        (policy.consecutive5xx, policy.baseEjectionTime) = (1, .seconds(300))
        detectOutliers(policy)
        let endpoint = some.cluster.next(random: 0)
        endpoint?.observer?.note(.answered(503), at: 1_000)
        _ = some.state.settle(at: 1_000)
        #expect(chosen.count == 3)
        let number = endpoint?.number ?? 0
        some.states[number].passedAt = 500
        _ = some.state.settle(at: 20_000_000_000)
        #expect(chosen.count == 3, "it was passed before")
        some.states[number].passedAt = 21_000_000_000
        _ = some.state.settle(at: 31_000_000_000)
        #expect(chosen.count == 4)
    }

    @Test func `ends with the checks`() {
        detectOutliers()
        _ = fail(1)
        some.states[1].health = .available
        some.state.detectOutliers(nil) {}
        #expect(chosen.count == 4 && some.state.detector == nil && some.state.healthCounts == nil)
        #expect(some.cluster.next(random: 0)?.observer == nil, "requests pay nothing for it")
    }

    @Test func `warms up what has become well`() {
        some.state.detectOutliers(nil, health: counts) {}
        some.state.warm(by: WarmupPolicy(window: .seconds(100), minimum: 0.1, aggression: 1)) {}
        _ = some.state.settle(at: 0)
        _ = some.state.settle(at: 200_000_000_000)
        #expect(fail(1) == nil)
        _ = some.state.settle(at: 300_000_000_000)
        some.states[1].health = .available
        _ = some.state.healthChanged()
        _ = some.state.settle(at: 301_000_000_000)
        let order = some.order(310)
        #expect(order.count { $0 == 1 } < 20, "a tenth of a share")
        _ = some.state.settle(at: 402_000_000_000)
        #expect(some.order(400).count { $0 == 1 } == 100)
    }
}
