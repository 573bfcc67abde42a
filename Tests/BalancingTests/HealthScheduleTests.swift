import Testing

@testable import Balancing

private func second(_ number: Double) -> UInt64 { UInt64(number * 1_000_000_000) }

/// Source: envoyproxy/envoy source/common/upstream/health_checker_base_impl.cc.
@Suite struct `What is known of an endpoint's health` {
    private var record = HealthHistory()
    private var policy = HealthCheckPolicy(method: .http)

    @Test(arguments: [HealthVerdict.passed, .failed("x"), .refused("x")])
    mutating func `is decided by the first result`(verdict: HealthVerdict) {
        let isNews = record.note(verdict, policy)
        #expect(isNews && record.health == (verdict == .passed ? .healthy : .unhealthy))
    }

    @Test mutating func `changes after as many failures in a row as the policy says`() {
        policy.unhealthyThreshold = 3
        var healths: [HealthHistory.Health] = []
        for verdict in [HealthVerdict.passed, .failed("a"), .failed("a"), .passed, .failed("a"), .failed("a")] {
            _ = record.note(verdict, policy)
            healths.append(record.health)
        }
        #expect(healths.allSatisfy { $0 == .healthy } && record.failures == 2 && record.reason == "a")
        let isNews = record.note(.failed("b"), policy)
        #expect(isNews && record.health == .unhealthy && record.reason == "b" && record.failures == 3)
    }

    @Test mutating func `changes at once when the endpoint says itself that it is not well`() {
        policy.unhealthyThreshold = 100
        _ = record.note(.passed, policy)
        _ = record.note(.refused("503"), policy)
        #expect(record.health == .unhealthy)
    }

    @Test mutating func `comes back after as many passes in a row as the policy says`() {
        policy.healthyThreshold = 2
        _ = record.note(.refused("503"), policy)
        for verdict in [HealthVerdict.passed, .failed("x"), .passed] { _ = record.note(verdict, policy) }
        #expect(record.health == .unhealthy)
        let isNews = record.note(.passed, policy)
        #expect(isNews && record.health == .healthy && record.reason.isEmpty)
    }

    @Test mutating func `is news when only the reason is another one, and no news when nothing is`() {
        _ = record.note(.failed("a"), policy)
        #expect(record.note(.failed("a"), policy) == false)
        #expect(record.note(.failed("b"), policy) == true)
        #expect(record.note(.skipped, policy) == false)
        #expect(record.failures == 3, "a check that was skipped counts for nothing")
    }
}

@Suite struct `The schedule of health checks` {
    private typealias Action = HealthSchedule<Int>.Action
    private var schedule = HealthSchedule<Int>(most: 3, seed: 7)
    private var policy = HealthCheckPolicy(method: .tcp)

    init() {
        policy.interval = .seconds(10)
        policy.timeout = .seconds(1)
        policy.jitter = .seconds(2)
    }

    private func begun(_ actions: [Action]) -> [Int] {
        actions.compactMap { if case .begin(let key) = $0 { key } else { nil } }
    }

    @Test mutating func `checks a new endpoint at once, then within an interval, then by intervals with jitter`() {
        schedule.check(1, policy, at: second(5))
        #expect(schedule.nextTime == second(5))
        #expect(begun(schedule.advance(to: second(5))) == [1])
        #expect(schedule.nextTime == second(6), "its timeout")
        #expect(schedule.ended(1, .passed, at: second(5.5)).count == 1)
        let next = schedule.nextTime ?? 0
        #expect((second(5.5)...second(15.5)).contains(next))
        #expect(begun(schedule.advance(to: next)) == [1])
        #expect(schedule.ended(1, .passed, at: next).isEmpty, "nothing is new")
        let third = schedule.nextTime ?? 0
        #expect((next + second(10)...next + second(12)).contains(third))
    }

    @Test mutating func `gives a check up whose time is over`() {
        schedule.check(1, policy, at: 0)
        _ = schedule.advance(to: 0)
        #expect(schedule.advance(to: second(0.9)).isEmpty)
        let actions = schedule.advance(to: second(1))
        #expect(actions.first == .giveUp(1))
        guard case .report(1, let record)? = actions.last else {
            Issue.record("no report")
            return
        }
        #expect(record.health == .unhealthy && record.reason == "no answer within 1 s")
        #expect(schedule.ended(1, .passed, at: second(1)).isEmpty, "it is over already")
    }

    @Test mutating func `has no more checks under way than it may`() {
        for key in 0..<10 { schedule.check(key, policy, at: 0) }
        #expect(begun(schedule.advance(to: 0)) == [0, 1, 2])
        #expect(schedule.advance(to: 0).isEmpty)
        let waits = schedule.takeWaits()
        #expect(waits == 1)
        _ = schedule.ended(1, .passed, at: second(0.1))
        #expect(schedule.nextTime == 0, "who waits can begin at once")
        #expect(begun(schedule.advance(to: second(0.1))) == [3])
        #expect(schedule.runningCount == 3)
    }

    @Test mutating func `notes no wait while there is room`() {
        for key in 0..<3 { schedule.check(key, policy, at: 0) }
        let (begun, waits) = (begun(schedule.advance(to: 0)), schedule.takeWaits())
        #expect(begun == [0, 1, 2] && waits == 0)
    }

    @Test mutating func `lets neither new endpoints nor old ones wait for all of the others`() {
        for key in 0..<3 { schedule.check(key, policy, at: 0) }
        _ = schedule.advance(to: 0)
        for key in 0..<3 { _ = schedule.ended(key, .passed, at: 0) }
        for key in 10..<20 { schedule.check(key, policy, at: second(20)) }
        let first = Set(begun(schedule.advance(to: second(20))))
        #expect(first.contains { $0 < 3 } && first.contains { $0 >= 10 })
    }

    @Test mutating func `forgets an endpoint whatever state it is in`() {
        for key in 0..<5 { schedule.check(key, policy, at: 0) }
        _ = schedule.advance(to: 0)
        for key in 0..<5 { schedule.forget(key) }
        #expect(schedule.count == 0 && schedule.runningCount == 0)
        #expect(schedule.advance(to: second(100)).isEmpty && schedule.ended(0, .passed, at: 0).isEmpty)
        #expect(schedule.nextTime == nil)
        schedule.check(0, policy, at: second(200))
        #expect(begun(schedule.advance(to: second(200))) == [0], "and may have it again")
    }

    @Test mutating func `takes another policy and keeps what is known`() {
        schedule.check(1, policy, at: 0)
        _ = schedule.advance(to: 0)
        _ = schedule.ended(1, .refused("x"), at: 0)
        policy.healthyThreshold = 2
        schedule.check(1, policy, at: second(1))
        #expect(begun(schedule.advance(to: second(1))) == [1], "it is checked at once")
        #expect(schedule.ended(1, .passed, at: second(1)).isEmpty, "one of two")
        #expect(schedule.count == 1)
    }

    @Test mutating func `makes a skipped check again, soon`() {
        schedule.check(1, policy, at: 0)
        _ = schedule.advance(to: 0)
        #expect(schedule.ended(1, .skipped, at: 0).isEmpty)
        #expect(schedule.nextTime == second(1))
    }

    /// A round of 10,000 endpoints takes place in an interval, and not at its beginning.
    @Test func `spreads ten thousand endpoints over the interval`() {
        var schedule = HealthSchedule<Int>(most: 128, seed: 1)
        for key in 0..<10_000 { schedule.check(key, policy, at: 0) }
        var now: UInt64 = 0
        var starts: [Int: Int] = [:]    // by tenth of a second
        while now < second(40) {
            for key in begun(schedule.advance(to: now)) {
                starts[Int(now / second(0.1)), default: 0] += 1
                _ = schedule.ended(key, .passed, at: now)
            }
            #expect(schedule.runningCount <= 128)
            now = max(schedule.nextTime ?? .max, now)
        }
        let later = (200..<380).map { starts[$0] ?? 0 }
        #expect(later.reduce(0, +) > 10_000)
        #expect(later.allSatisfy { $0 < 400 }, "of about 90 in each tenth of a second")
    }
}

@Suite struct `A heap` {
    @Test func `gives its elements in order`() {
        var heap = MinimumHeap<Int>(by: <)
        var random: UInt64 = 1
        var sorted: [Int] = []
        for _ in 0..<500 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            heap.insert(Int(random >> 40))
            sorted.append(Int(random >> 40))
        }
        sorted.sort()
        #expect(heap.count == 500 && heap.first == sorted[0])
        #expect((0..<500).map { _ in heap.takeFirst() ?? -1 } == sorted)
        #expect(heap.takeFirst() == nil)
    }
}

@Suite struct `A queue of checks that wait` {
    private typealias Queue = HealthSchedule<Int>.Queue

    @Test func `gives in the order of coming, and keeps few that were taken though it is never empty`() {
        var queue = Queue()
        var (next, taken) = (0, 0)
        for _ in 0..<100 {
            queue.join(HealthSchedule.DueCheck(time: 0, key: next, round: 0))
            next += 1
        }
        var (isOrdered, largest) = (true, 0)
        for _ in 0..<10_000 {
            queue.join(HealthSchedule.DueCheck(time: 0, key: next, round: 0))
            next += 1
            isOrdered = isOrdered && queue.take()?.key == taken
            taken += 1
            largest = max(largest, queue.checks.count)
        }
        #expect(isOrdered && largest <= 202 && !queue.isEmpty)
        while let check = queue.take() {
            #expect(check.key == taken)
            taken += 1
        }
        #expect(taken == next && queue.isEmpty)
    }
}
