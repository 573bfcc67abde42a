/// How an endpoint that is new to its cluster comes to its share of the requests.
/// Source: istio/api networking/v1alpha3/destination_rule.proto (WarmupConfiguration); envoyproxy/envoy
/// docs/root/intro/arch_overview/upstream/load_balancing/slow_start.rst.
package struct WarmupPolicy: Sendable, Hashable {
    /// How long an endpoint counts as new; above zero.
    package let window: Duration
    /// The least part of its weight, 0 to 1.
    package let minimum: Double
    /// 1: the weight grows evenly; more: it grows quickly at first. Above zero.
    package let aggression: Double

    package init(window: Duration, minimum: Double, aggression: Double) {
        self.window = window
        self.minimum = minimum
        self.aggression = aggression
    }

    /// The time after which a weight is looked at again, in nanoseconds.
    /// - Parameter count: endpoints of the cluster; a large list takes longer to make.
    func interval(count: Int) -> UInt64 {
        min(max(nanoseconds / 100, 50_000_000), 1_000_000_000) + UInt64(clamping: min(count, 1_000_000)) * 20_000
    }

    /// The part of its weight that an endpoint has.
    /// - Parameter elapsed: nanoseconds for which it has been in the cluster.
    /// - Returns: above 0; 1 from the end of the window on.
    func factor(after elapsed: UInt64) -> Double {
        guard elapsed < nanoseconds else { return 1 }
        let part = Double(max(elapsed, 1_000_000)) / Double(nanoseconds)
        guard part < 1 else { return 1 }
        return max(Self.power(part, 1 / aggression), minimum, 1e-6)
    }

    private var nanoseconds: UInt64 {
        let (seconds, attoseconds) = window.components
        let (whole, overflow) = UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max / 4 : max(min(whole, .max / 4) + UInt64(clamping: attoseconds / 1_000_000_000), 1)
    }

    /// - Parameters:
    ///   - base: above 0, below 1.
    ///   - exponent: above 0.
    private static func power(_ base: Double, _ exponent: Double) -> Double {
        guard exponent < 4096 else { return 0 }
        var whole = Int(exponent)
        var (result, square) = (1.0, base)
        while whole > 0 {
            if whole & 1 == 1 { result *= square }
            square *= square
            whole >>= 1
        }
        // The rest is a sum of halves, quarters and so on: roots of the base.
        var (rest, root) = (exponent - exponent.rounded(.down), base)
        for _ in 0..<48 where rest > 0 {
            rest *= 2
            root = root.squareRoot()
            guard rest >= 1 else { continue }
            result *= root
            rest -= 1
        }
        return result
    }
}

/// Which endpoints of one cluster are new, and since when. It knows no clock.
struct WarmupLedger {
    private enum Age {
        case new
        case since(UInt64)
        case warm
    }

    let policy: WarmupPolicy
    private var ages: [ObjectIdentifier: Age] = [:]
    private var now: UInt64 = 0

    /// Weights are multiplied by this, so that a part of 1 is a whole number.
    private static let scale = 1000.0

    init(_ policy: WarmupPolicy) { self.policy = policy }

    /// The same endpoints by another policy.
    init(_ policy: WarmupPolicy, after before: WarmupLedger?) {
        self.policy = policy
        ages = before?.ages ?? [:]
        now = before?.now ?? 0
    }

    /// Takes the endpoints that the cluster has from now on.
    /// - Returns: whether some are new.
    mutating func keep(_ endpoints: [EndpointState]) -> Bool {
        var next: [ObjectIdentifier: Age] = [:]
        next.reserveCapacity(endpoints.count)
        var hasNew = false
        for endpoint in endpoints {
            let age = ages[ObjectIdentifier(endpoint)] ?? .new
            if case .new = age { hasNew = true }
            next[ObjectIdentifier(endpoint)] = age
        }
        ages = next
        return hasNew
    }

    /// - Parameters:
    ///   - now: nanoseconds of a clock that never goes back.
    ///   - unwell: endpoints that fail their health checks, or have not passed one yet: they are new when they are
    ///     used again. Source: envoyproxy/envoy docs/root/intro/arch_overview/upstream/load_balancing/slow_start.rst.
    /// - Returns: when to look again; nil when nobody is warming up.
    mutating func advance(to now: UInt64, exceptFor unwell: Set<ObjectIdentifier> = []) -> UInt64? {
        self.now = now
        var isBusy = false
        for key in unwell where ages[key] != nil { ages[key] = .new }
        for (key, age) in ages where !unwell.contains(key) {
            switch age {
            case .warm: continue
            case .new: ages[key] = .since(now)
            case .since(let start) where policy.factor(after: now &- start) >= 1:
                ages[key] = .warm
                continue
            case .since: break
            }
            isBusy = true
        }
        return isBusy ? now &+ policy.interval(count: ages.count) : nil
    }

    /// What each endpoint of a list weighs now; nil when all are warm.
    func weights(of list: EndpointList) -> [Int]? {
        var isBusy = false
        let weights = list.endpoints.indices.map { place in
            let own = Double(list.weights.count == list.count ? max(list.weights[place], 1) : 1)
            var factor = 1.0
            switch ages[ObjectIdentifier(list.endpoints[place])] {
            case .warm, nil: break
            case .new:
                factor = policy.factor(after: 0)
                isBusy = true
            case .since(let start):
                factor = policy.factor(after: now &- start)
                isBusy = true
            }
            return max(Int(min(own * factor * Self.scale, 1e15)), 1)
        }
        return isBusy ? weights : nil
    }
}
