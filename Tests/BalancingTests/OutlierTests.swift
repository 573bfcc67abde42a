import Testing

@testable import Balancing

/// Source: envoyproxy/envoy source/common/upstream/outlier_detection_impl.cc.
@Suite struct `The errors in a row of an endpoint` {
    private func policy(_ adjust: (inout OutlierPolicy) -> Void = { _ in }) -> OutlierPolicy {
        var policy = OutlierPolicy()
        adjust(&policy)
        return policy
    }

    /// After which of these results a limit is reached, and which.
    private func trips(_ results: [EndpointResult], _ policy: OutlierPolicy) -> [Int: EjectionCause] {
        var counts = ErrorCounts()
        var trips: [Int: EjectionCause] = [:]
        for (place, result) in results.enumerated() {
            trips[place] = counts.note(result, OutlierThresholds(policy))
        }
        return trips
    }

    @Test func `reach their limit, and begin anew behind it`() {
        let errors = Array(repeating: EndpointResult.answered(500), count: 11)
        #expect(trips(errors, policy()) == [4: .consecutive5xx, 9: .consecutive5xx])
        #expect(trips(errors, policy { $0.consecutive5xx = 1 }).count == 11)
        #expect(trips(errors, policy { $0.consecutive5xx = 0 }).isEmpty)
    }

    @Test(arguments: [200, 302, 404, 499]) func `end with an answer below 500`(status: Int) {
        let errors = Array(repeating: EndpointResult.answered(503), count: 4)
        #expect(trips(errors + [.answered(status)] + errors, policy { $0.consecutiveGateway = 5 }).isEmpty)
    }

    @Test func `of a gateway are 502, 503 and 504 alone, and another error ends them`() {
        let gateway = policy { ($0.consecutive5xx, $0.consecutiveGateway) = (0, 3) }
        #expect(trips([502, 503, 504].map { .answered($0) }, gateway) == [2: .gatewayFailure])
        #expect(trips([502, 503, 500, 504, 502].map { .answered($0) }, gateway).isEmpty)
        #expect(trips([.failed, .timedOut, .failed], gateway) == [2: .gatewayFailure])
    }

    @Test func `count failures to connect as 503, unless they are counted apart`() {
        let failures = Array(repeating: EndpointResult.failed, count: 5)
        #expect(trips(failures, policy()) == [4: .consecutive5xx])
        let apart = policy { ($0.splitsLocalOrigin, $0.consecutiveLocalOrigin) = (true, 2) }
        #expect(trips([.failed, .answered(503), .failed, .timedOut], apart) == [3: .localOriginFailure])
        #expect(trips(Array(repeating: .answered(503), count: 5), apart) == [4: .consecutive5xx])
        #expect(trips(failures, policy { ($0.splitsLocalOrigin, $0.consecutiveLocalOrigin) = (true, 0) }).isEmpty)
    }

    @Test func `are what a list of codes says, where there is one`() {
        let codes = policy { ($0.consecutive5xx, $0.errorCodes) = (2, [404, 429, 503]) }
        #expect(trips([.answered(404), .answered(429)], codes) == [1: .consecutive5xx])
        #expect(trips([.answered(503), .answered(500), .answered(503)], codes).isEmpty)
        #expect(trips([.failed, .failed], codes) == [1: .consecutive5xx])
    }

    @Test func `never overflow, nor spill into each other`() {
        var counts = ErrorCounts(word: 1 << 63)
        let thresholds = OutlierThresholds(policy { ($0.consecutive5xx, $0.consecutiveGateway) = (.max, 0) })
        var reached = 0
        for _ in 0..<2_200_000 where counts.note(.answered(503), thresholds) != nil { reached += 1 }
        #expect(reached == 1, "a limit beyond the largest number is that number")
        #expect(counts.word >> 63 == 1, "the mark of an ejection is lost")
        #expect(counts.note(.answered(200), thresholds) == nil && counts.word << 1 == 0)
    }
}

@Suite struct `The ledger of ejections` {
    private var policy = OutlierPolicy()
    private var ledger = OutlierLedger<Int>()

    init() { policy.maxEjectionPercent = 100 }

    private func seconds(_ number: Int) -> UInt64 { UInt64(number) * 1_000_000_000 }

    @Test mutating func `ends an ejection at the first sweep behind its time`() {
        #expect(ledger.eject(1, at: seconds(5), of: 4, policy) == .seconds(30))
        #expect(ledger.sweepDue == seconds(15) && ledger.ejected == 1)
        for second in stride(from: 15, to: 35, by: 10) { #expect(ledger.sweep(at: seconds(second), policy).isEmpty) }
        #expect(ledger.sweep(at: seconds(34), policy).isEmpty, "no sweep is due")
        #expect(ledger.sweep(at: seconds(35), policy) == [1])
        #expect(ledger.ejected == 0)
    }

    @Test mutating func `makes each ejection longer, up to 300 s, and forgives one with each quiet sweep`() {
        var now = 0
        for number in 1...12 {
            #expect(ledger.eject(1, at: seconds(now), of: 4, policy) == .seconds(min(30 * number, 300)))
            while ledger.isEjected(1) {
                now += 10
                _ = ledger.sweep(at: seconds(now), policy)
            }
        }
        for _ in 0..<5 {
            now += 10
            #expect(ledger.sweep(at: seconds(now), policy).isEmpty)
        }
        #expect(ledger.eject(1, at: seconds(now), of: 4, policy) == .seconds(240))
        while ledger.isEjected(1) {
            now += 10
            _ = ledger.sweep(at: seconds(now), policy)
        }
        for _ in 0..<8 {
            now += 10
            _ = ledger.sweep(at: seconds(now), policy)
        }
        #expect(ledger.isEmpty && ledger.sweepDue == nil, "what is forgiven costs nothing")
    }

    @Test(arguments: [(10, 3, 1), (10, 20, 2), (50, 4, 2), (100, 4, 4), (0, 4, 0), (10, 1, 0), (100, 1, 1), (99, 2, 1)])
    func `ejects no more than the largest share, but one of several in any case`(percent: Int, count: Int, most: Int) {
        var policy = OutlierPolicy()
        policy.maxEjectionPercent = percent
        var ledger = OutlierLedger<Int>()
        let ejected = (0..<count).filter { ledger.eject($0, at: 0, of: count, policy) != nil }
        #expect(ejected.count == most && ledger.ejected == most)
    }

    @Test mutating func `keeps an ejected endpoint ejected, however often it fails`() {
        #expect(ledger.eject(1, at: 0, of: 4, policy) != nil)
        #expect(ledger.eject(1, at: 1, of: 4, policy) == nil && ledger.ejected == 1)
    }

    @Test mutating func `forgets endpoints that left`() {
        for key in 0..<4 { _ = ledger.eject(key, at: 0, of: 8, policy) }
        ledger.keep { $0 % 2 == 0 }
        #expect(ledger.ejected == 2 && ledger.isEjected(2) && !ledger.isEjected(1))
    }

    @Test func `survives any times and durations`() {
        var policy = OutlierPolicy()
        (policy.maxEjectionPercent, policy.interval) = (100, .seconds(Int64.max))
        policy.baseEjectionTime = .seconds(Int64.max)
        var ledger = OutlierLedger<Int>()
        #expect(ledger.eject(1, at: .max, of: 1, policy) != nil)
        _ = ledger.sweep(at: .max, policy)
        #expect(policy.ejectionTime(times: .max) == .seconds(Int64.max))
    }
}

@Suite struct `A cluster whose outliers are detected` {
    private let policy: OutlierPolicy = {
        var policy = OutlierPolicy()
        (policy.consecutive5xx, policy.maxEjectionPercent) = (2, 60)
        return policy
    }()

    private func watched(_ policy: OutlierPolicy, _ count: Int, _ kind: BalancingPolicy = .roundRobin) -> SomeCluster {
        let some = SomeCluster(kind, count)
        some.state.detectOutliers(policy, wake: {})
        return some
    }

    /// Lets the endpoint of that place fail until it is ejected, or not.
    private func fail(_ some: SomeCluster, _ number: Int, times: Int = 2, at now: UInt64 = 0) {
        var failed = 0
        while failed < times, let endpoint = some.cluster.next(random: UInt64.random(in: 0 ... .max)) {
            guard endpoint.number == number else { continue }
            endpoint.observer?.note(.answered(500), at: now)
            failed += 1
        }
    }

    @Test(arguments: BalancingPolicy.allCases)
    func `does not choose an ejected endpoint, at once and afterwards`(kind: BalancingPolicy) {
        let some = watched(policy, 4, kind)
        fail(some, 1)
        #expect(some.picks(400)[1] == 0, "before the control plane has looked")
        let (events, due) = some.state.settle(at: 0)
        #expect(events.count == 1 && due == 10_000_000_000)
        let picks = some.picks(300)
        #expect(picks[1] == 0 && (kind == .random || picks[0] == 100))
        #expect(some.state.endpoints.count == 4 && some.cluster.count == 3)
        _ = some.state.settle(at: 40_000_000_000)
        #expect(some.picks(400)[1] > 50)
    }

    @Test func `keeps ejections when its endpoints change, and counts too`() {
        let some = watched(policy, 4)
        fail(some, 1)
        fail(some, 2, times: 1)
        _ = some.state.settle(at: 0)
        some.publish([some.states[3], some.states[1], some.states[2]])
        #expect(some.picks(300)[1] == 0)
        fail(some, 2, times: 1)
        #expect(some.picks(300)[2] == 0 || some.state.detector?.totals.prevented == 1)
        some.publish([some.states[0], some.states[3]])
        some.publish(some.states)
        #expect(some.picks(400)[1] == 100, "an endpoint that has left comes back as a new one")
    }

    @Test func `keeps ejections when its policy changes, and ends them when it goes`() {
        let some = watched(policy, 4)
        fail(some, 1)
        var other = policy
        other.consecutive5xx = 1
        some.state.detectOutliers(other, wake: {})
        #expect(some.picks(300)[1] == 0)
        fail(some, 2, times: 1)
        #expect(some.picks(300)[2] == 0, "the new limit is not in effect")
        some.state.detectOutliers(nil, wake: {})
        #expect(some.picks(400) == [100, 100, 100, 100] && some.state.detector == nil)
        #expect(some.cluster.next(random: 0)?.observer == nil)
    }

    @Test func `uses all endpoints when fewer are left than minHealthPercent`() {
        var panic = policy
        (panic.maxEjectionPercent, panic.minHealthPercent) = (100, 50)
        let some = watched(panic, 4)
        fail(some, 0)
        fail(some, 1)
        _ = some.state.settle(at: 0)
        #expect(some.picks(400)[0] == 0 && some.picks(400)[1] == 0)
        fail(some, 2)
        for _ in 0..<2 {
            _ = some.state.settle(at: 0)
            #expect(some.picks(400) == [100, 100, 100, 100])
        }
        #expect(some.state.detector?.totals.ejected == 3)
    }

    @Test func `has no endpoint when all are ejected and none is to be used then`() {
        var all = policy
        all.maxEjectionPercent = 100
        let some = watched(all, 2)
        fail(some, 0)
        fail(some, 1)
        for _ in 0..<2 {
            #expect(some.cluster.next(random: 0) == nil)
            _ = some.state.settle(at: 0)
        }
        _ = some.state.settle(at: 60_000_000_000)
        #expect(some.picks(100) == [50, 50])
    }

    @Test func `keeps sixteen events for the log, and counts the others`() throws {
        var all = policy
        all.maxEjectionPercent = 100
        let some = watched(all, 40)
        let worker = Cluster(some.state)
        var ejected: Set<Int> = []
        while ejected.count < 20, let endpoint = worker.next(random: 0) {
            for _ in 0..<2 { endpoint.observer?.note(.answered(500), at: 0) }
            ejected.insert(endpoint.number)
        }
        let events = try #require(some.state.detector?.settle(at: 0).events)
        #expect(events.count == 17)
        var omitted: Int?
        if case .omitted(let count)? = events.last { omitted = count }
        #expect(omitted == 4)
    }

    @Test func `counts together what several workers see`() {
        let some = watched(policy, 3)
        let workers = (0..<2).map { _ in Cluster(some.state) }
        for worker in workers {
            var endpoint = worker.next(random: 0)
            while endpoint?.number != 1 { endpoint = worker.next(random: 0) }
            endpoint?.observer?.note(.failed, at: 0)
        }
        #expect(some.picks(300)[1] == 0 && some.state.detector?.totals.ejections[.consecutive5xx] == 1)
    }

    @Test func `has the counts of each endpoint alone on their cache lines`() {
        let monitors = watched(policy, 8).states.map { OutlierMonitor($0, OutlierThresholds(policy)) }
        let lines = Set(monitors.map { $0.address / UInt(OwnLine.octets) })
        #expect(lines.count == 8 && monitors.allSatisfy { $0.address % UInt(OwnLine.octets) == 0 })
    }

    /// Any order of answers, changes of the endpoints, of the policy, and sweeps: nothing traps, the largest share is
    /// kept, and at the end, without failures, every endpoint is chosen again.
    @Test func `stays whole, whatever happens`() {
        var random = SystemRandomNumberGenerator()
        let some = watched(policy, 12)
        var now: UInt64 = 0
        for _ in 0..<4000 {
            now += UInt64.random(in: 0..<5_000_000_000, using: &random)
            switch Int.random(in: 0..<8, using: &random) {
            case 0: some.publish(some.states.shuffled().suffix(Int.random(in: 0...12, using: &random)))
            case 1: _ = some.state.settle(at: now)
            case 2:
                var other = policy
                other.minHealthPercent = Int.random(in: 0...100, using: &random)
                some.state.detectOutliers(Bool.random(using: &random) ? other : nil, wake: {})
            default:
                let status = Bool.random(using: &random) ? 503 : 200
                for _ in 0..<3 { some.cluster.next(random: random.next())?.observer?.note(.answered(status), at: now) }
            }
            guard let totals = some.state.detector?.totals else { continue }
            #expect(totals.ejected <= max(some.state.endpoints.count, 1))
        }
        some.state.detectOutliers(policy, wake: {})
        some.publish(some.states)
        for _ in 0..<60 {
            now += 30_000_000_000
            _ = some.state.settle(at: now)
        }
        #expect(some.picks(1200) == Array(repeating: 100, count: 12))
    }

    /// A sweep looks at ejected endpoints alone: 50,000 others cost it nothing.
    @Test func `is swept without looking at endpoints that are well`() {
        var ledger = OutlierLedger<Int>()
        for key in 0..<10 { _ = ledger.eject(key, at: 0, of: 50_000, policy) }
        #expect(ledger.tracked == 10)
    }
}
