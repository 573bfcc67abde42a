package import Balancing

/// The policies of a cluster that most clusters have not: whoever has none of them pays a check for nil.
package final class ClusterPolicies: Sendable, Hashable {
    /// Limits of connections and requests; nil if there are none.
    package let pool: PoolPolicy?
    /// When endpoints are taken out of the choice; nil: never.
    package let outliers: OutlierPolicy?
    /// What requests are told apart by; nil: by nothing.
    package let hashing: HashPolicy?

    /// - Returns: nil when there is no policy.
    package init?(pool: PoolPolicy? = nil, outliers: OutlierPolicy? = nil, hashing: HashPolicy? = nil) {
        guard pool != nil || outliers != nil || hashing != nil else { return nil }
        self.pool = pool
        self.outliers = outliers
        self.hashing = hashing
    }

    package static func == (left: ClusterPolicies, right: ClusterPolicies) -> Bool {
        left.pool == right.pool && left.outliers == right.outliers && left.hashing == right.hashing
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(pool)
        hasher.combine(outliers)
        hasher.combine(hashing)
    }
}
