internal import Synchronization

/// How the endpoints of a Service are checked. Istio has no field for it: annotations of the Service say it.
/// The defaults are those of Kubernetes' probes.
/// Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Probe; envoyproxy/envoy
/// api/envoy/config/core/v3/health_check.proto.
package struct HealthCheckPolicy: Sendable, Hashable {
    /// How an endpoint is asked whether it is well.
    package enum Method: String, Sendable, Hashable, CaseIterable {
        /// Sends `GET` and looks at the status of the answer.
        case http
        /// Calls `grpc.health.v1.Health/Check`.
        case grpc
        /// Makes a connection, with its TLS handshake where the cluster has TLS.
        case tcp
    }

    package var method: Method
    /// What `GET` asks for; it begins with `/`.
    package var path = "/"
    /// The status codes of an endpoint that is well, 200 to 599.
    package var statuses = [200...200]
    /// The service whose health a gRPC check asks for; empty is the whole server.
    package var service = ""
    /// The authority of a check; nil: the host of the Service.
    package var authority: String?
    /// The port that is checked, 1 to 65535; nil: the endpoint's own. One of its own is checked in clear text.
    package var port: UInt16?
    /// The time from the end of a check to the next one; above zero.
    package var interval = Duration.seconds(10)
    /// How long a check may take, with its connection; above zero.
    package var timeout = Duration.seconds(1)
    /// The most by which a random part makes an interval longer, so that checks do not come together.
    package var jitter = Duration.seconds(1)
    /// How many checks in a row are passed until an endpoint that has failed is used again; 1 or more.
    package var healthyThreshold = 1
    /// How many checks in a row fail until an endpoint is not used any more; 1 or more.
    package var unhealthyThreshold = 3

    package init(method: Method) { self.method = method }

    /// If fewer endpoints than this share are left, all are used; where `outlierDetection` says no other share.
    /// Source: envoyproxy/envoy api/envoy/config/cluster/v3/cluster.proto (healthy_panic_threshold).
    package static let usualMinHealthPercent = 50
}

/// What came of one check.
package enum HealthVerdict: Sendable, Equatable {
    case passed
    /// The endpoint has said, by a complete answer, that it is not well: no threshold is waited for.
    case refused(String)
    /// Nothing that could be understood came in time, or no connection.
    case failed(String)
    /// It could not be made, for a reason of this gateway's own. It counts for nothing.
    case skipped
}

/// What is known of the health of an endpoint in the whole process, so that its clusters agree.
package enum EndpointHealth: UInt8, Sendable {
    /// It passes its checks, or is not checked, or was there before there was any result.
    case available
    /// It joined others, and no check was passed yet.
    case pending
    case failing
}

/// How many checks of a Service's port were passed, and how many were not.
///
/// Thread: any. Freed by: the last of the `HealthDirectory`, a `ClusterState` and a check that is under way.
package final class HealthCounts: Sendable {
    /// The Service's host and port.
    package let name: String
    private let passes = Atomic<UInt64>(0)
    private let failures = Atomic<UInt64>(0)

    package init(name: String) { self.name = name }

    /// Counts a check; one that was skipped does not count.
    package func note(_ verdict: HealthVerdict) {
        switch verdict {
        case .passed: passes.wrappingAdd(1, ordering: .relaxed)
        case .refused, .failed: failures.wrappingAdd(1, ordering: .relaxed)
        case .skipped: break
        }
    }

    /// Since the port was first checked, by all that check it.
    package var passed: UInt64 { passes.load(ordering: .relaxed) }
    /// Since then: checks that found the endpoint unwell, or nobody.
    package var failed: UInt64 { failures.load(ordering: .relaxed) }
}
