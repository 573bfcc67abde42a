/// What of a policy is asked with every answer. Plain data: each handle of an endpoint has it.
struct OutlierThresholds: BitwiseCopyable {
    let consecutive5xx: UInt64
    let gateway: UInt64
    let localOrigin: UInt64
    let splits: Bool
    private let hasCodes: Bool
    private let codes: SIMD8<UInt64>    // a bit for each status from 100 on

    init(_ policy: OutlierPolicy) {
        consecutive5xx = Self.clamped(policy.consecutive5xx)
        gateway = Self.clamped(policy.consecutiveGateway)
        localOrigin = Self.clamped(policy.consecutiveLocalOrigin)
        splits = policy.splitsLocalOrigin
        hasCodes = policy.errorCodes != nil
        var codes = SIMD8<UInt64>(repeating: 0)
        for code in policy.errorCodes ?? [] where (100..<600).contains(code) {
            codes[(code - 100) / 64] |= 1 << UInt64((code - 100) % 64)
        }
        self.codes = codes
    }

    private static func clamped(_ count: Int) -> UInt64 { min(UInt64(clamping: count), ErrorCounts.most) }

    /// The status as the counters are to see it. A list of codes says what an error is: another status counts as a
    /// success then, and a listed one below 500 as 500.
    /// Source: envoyproxy/envoy api/envoy/extensions/upstreams/http/v3/http_protocol_options.proto (error_matcher).
    func seen(_ status: Int) -> Int {
        guard hasCodes else { return status }
        guard (100..<600).contains(status), codes[(status - 100) / 64] >> UInt64((status - 100) % 64) & 1 == 1 else {
            return 200
        }
        return max(status, 500)
    }
}

/// The errors in a row of one endpoint: three numbers in one word, so that all workers change them together.
/// Pure. Source: envoyproxy/envoy source/common/upstream/outlier_detection_impl.cc (DetectorHostMonitorImpl).
struct ErrorCounts: BitwiseCopyable, Equatable {
    /// The three numbers, `width` bits each.
    private(set) var word: UInt64

    init(word: UInt64 = 0) { self.word = word }

    private static let width: UInt64 = 21
    /// The largest number; it stays there.
    static let most: UInt64 = 1 << width - 1

    private enum Place: UInt64 { case all = 0, gateway, local }

    private subscript(_ place: Place) -> UInt64 {
        get { word >> (place.rawValue * Self.width) & Self.most }
        set {
            let shift = place.rawValue * Self.width
            word = word & ~(Self.most << shift) | min(newValue, Self.most) << shift
        }
    }

    /// Counts a result.
    /// - Returns: the limit that is reached with it, whose count begins anew; nil for none.
    mutating func note(_ result: EndpointResult, _ thresholds: OutlierThresholds) -> EjectionCause? {
        switch result {
        case .answered(let status):
            self[.local] = 0
            return answered(thresholds.seen(status), thresholds)
        case .failed, .timedOut:
            guard thresholds.splits else { return answered(result == .failed ? 503 : 504, thresholds) }
            self[.local] += 1
            return reaches(.local, thresholds.localOrigin) ? .localOriginFailure : nil
        }
    }

    private mutating func answered(_ status: Int, _ thresholds: OutlierThresholds) -> EjectionCause? {
        guard status >= 500 else {
            self[.all] = 0
            self[.gateway] = 0
            return nil
        }
        self[.all] += 1
        self[.gateway] = (502...504).contains(status) ? self[.gateway] + 1 : 0
        let isGateway = reaches(.gateway, thresholds.gateway)
        let isAll = reaches(.all, thresholds.consecutive5xx)
        return isGateway ? .gatewayFailure : isAll ? .consecutive5xx : nil
    }

    private mutating func reaches(_ place: Place, _ limit: UInt64) -> Bool {
        guard limit > 0, self[place] >= limit else { return false }
        self[place] = 0
        return true
    }
}
