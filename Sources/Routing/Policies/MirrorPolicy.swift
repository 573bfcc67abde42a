internal import Manifests

/// `mirror` of a rule, or an entry of its `mirrors`, compiled: where copies of a share of its requests go.
/// Source: docs/istio.md, Mirrors.
package struct MirrorPolicy: Sendable, Equatable {
    /// The cluster's number in the plan.
    package let cluster: Int
    package let share: RequestShare
}

extension HTTPRoute {
    /// Where copies of its requests go, without those that get none.
    var copies: [(destination: Destination, share: RequestShare)] {
        var all = mirrors.map { (destination: $0.destination, share: RequestShare(percentage: $0.percentage)) }
        if let mirror {
            all.insert((mirror.destination, RequestShare(percentage: mirrorShare ?? mirror.percentage)), at: 0)
        }
        return all.filter { $0.share.millionths > 0 }
    }
}
