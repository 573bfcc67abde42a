internal import Balancing
internal import Octets
internal import Synchronization

/// The hosts that requests have named, of all clusters and workers: at most `limit`. Workers ask for them, and the
/// control plane has them resolved and forgotten.
///
/// Thread: any. Freed by: the last of the `RequestedResolver` and the snapshots.
package final class RequestedHosts: Sendable {
    /// Hosts that are known at a time. Envoy has as many (DnsCacheConfig.max_hosts).
    package static let limit = 1024

    private struct Contents {
        var hosts: [RequestedHost.Key: RequestedHost] = [:]
        var fresh: [RequestedHost] = []
    }

    private let contents = Lock(Contents())
    private let news = Atomic<Bool>(false)
    private let wake: @Sendable () -> Void

    /// - Parameter wake: called, on any thread, when there is something for the control plane to do.
    package init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

    /// The host of that key, which is new if nobody has asked for it lately.
    /// - Returns: nil if as many are known as may be.
    func find(_ key: RequestedHost.Key, clusterName: String, at second: UInt64) -> RequestedHost? {
        let (host, isNew) = contents.withLock { contents -> (RequestedHost?, Bool) in
            if let known = contents.hosts[key] { return (known, false) }
            guard contents.hosts.count < Self.limit else { return (nil, false) }
            let host = RequestedHost(key: key, clusterName: clusterName, at: second)
            contents.hosts[key] = host
            contents.fresh.append(host)
            return (host, true)
        }
        if isNew { notice() }
        return host
    }

    /// Hosts that were asked for first since the last call. The control plane's thread only.
    package func takeFresh() -> [RequestedHost] {
        contents.withLock { contents in
            defer { contents.fresh = [] }
            return contents.fresh
        }
    }

    /// Forgets hosts: they are resolved again when a request asks for them. The control plane's thread only.
    package func remove(_ hosts: [RequestedHost]) {
        contents.withLock { contents in
            for host in hosts where contents.hosts[host.key] === host { contents.hosts[host.key] = nil }
        }
        for host in hosts { host.settle(.gone) }
    }

    /// Says that the control plane has something to do.
    package func notice() {
        news.store(true, ordering: .releasing)
        wake()
    }

    /// Whether `notice` was called since the last call.
    package func takeNews() -> Bool { news.exchange(false, ordering: .acquiringAndReleasing) }

    /// Hosts that are known now.
    package var count: Int { contents.withLock { $0.hosts.count } }
}
