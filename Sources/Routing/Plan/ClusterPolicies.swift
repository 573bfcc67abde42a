package import Balancing

/// The policies of a cluster that most clusters have not: whoever has none of them pays a check for nil.
///
/// Thread: any. Freed by: the last plan that has it.
package final class ClusterPolicies: Sendable, Hashable {
    /// Limits of connections and requests; nil if there are none.
    package let pool: PoolPolicy?
    /// When endpoints are taken out of the choice; nil: never.
    package let outliers: OutlierPolicy?
    /// By what requests find their endpoint; nil: by nothing of theirs.
    package let hashing: HashPolicy?

    /// By which version of the PROXY protocol endpoints get the client's address; nil: they do not.
    package let proxyVersion: ProxyVersion?
    /// How new endpoints come to their share; nil: at once.
    package let warmup: WarmupPolicy?
    /// Which endpoints are preferred, by where they are; nil: none.
    package let locality: LocalityPolicy?
    /// How endpoints are checked; nil: not at all.
    package let healthCheck: HealthCheckPolicy?

    /// - Returns: nil when there is no policy.
    package init?(
        pool: PoolPolicy? = nil, outliers: OutlierPolicy? = nil, hashing: HashPolicy? = nil,
        locality: LocalityPolicy? = nil, warmup: WarmupPolicy? = nil, proxyVersion: ProxyVersion? = nil,
        healthCheck: HealthCheckPolicy? = nil
    ) {
        guard
            pool != nil || outliers != nil || hashing != nil || locality != nil || warmup != nil || proxyVersion != nil
                || healthCheck != nil
        else { return nil }
        self.healthCheck = healthCheck
        self.pool = pool
        self.outliers = outliers
        self.hashing = hashing
        self.locality = locality
        self.warmup = warmup
        self.proxyVersion = proxyVersion
    }

    package static func == (left: ClusterPolicies, right: ClusterPolicies) -> Bool {
        left.pool == right.pool && left.outliers == right.outliers && left.hashing == right.hashing
            && left.locality == right.locality && left.warmup == right.warmup
            && left.proxyVersion == right.proxyVersion && left.healthCheck == right.healthCheck
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(pool)
        hasher.combine(outliers)
        hasher.combine(hashing)
        hasher.combine(locality)
        hasher.combine(warmup)
        hasher.combine(proxyVersion)
        hasher.combine(healthCheck)
    }
}

/// A version of the PROXY protocol. Source: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt.
package enum ProxyVersion: UInt8, Sendable, Hashable {
    /// A line of text.
    case v1 = 1
    /// Binary.
    case v2 = 2
}
