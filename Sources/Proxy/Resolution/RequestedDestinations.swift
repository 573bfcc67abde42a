internal import Balancing
internal import Octets
internal import Reactor
internal import Routing
internal import Telemetry

/// The destinations of one cluster whose endpoints are the addresses of the host that a request names, by that host:
/// what one worker has of them.
///
/// Thread: its worker's. Freed by: its `DestinationHandle`.
final class RequestedDestinations {
    let names: RequestedNames
    private let hosts: RequestedHosts
    private var known: [String: (host: RequestedHost, destination: DestinationHandle)] = [:]
    /// Forgotten hosts are let go when so many are here: those of all clusters and then some.
    private static let mostKnown = RequestedHosts.limit * 2

    init(names: RequestedNames, hosts: RequestedHosts) {
        self.names = names
        self.hosts = hosts
    }

    /// What became of asking for the destination of a host.
    enum Found {
        case destination(DestinationHandle)
        /// Its look-up is under way.
        case wait(RequestedHost)
        /// It has no addresses, for the reason given.
        case failed(String)
        /// It is no host that may be asked for; the sentence says why.
        case refused(String)
        /// Too many hosts are known, or too many requests wait for theirs; the sentence says which.
        case full(String)
    }

    /// The destination of a host that a request or a connection has named, without a port.
    /// - Parameter parent: the destination that has this object.
    func find(_ host: Octets, of parent: DestinationHandle, _ services: WorkerServices) -> Found {
        guard let name = names.name(of: host) else {
            return .refused("\"\(host.string)\" is no host name under \(names)")
        }
        let second = services.loop.now.nanoseconds / 1_000_000_000
        if let found = known[name] {
            found.host.touch(at: second)
            if found.host.isReady { return .destination(found.destination) }
        }
        return ask(name, of: parent, at: second, services)
    }

    private func ask(
        _ name: String, of parent: DestinationHandle, at second: UInt64, _ services: WorkerServices
    ) -> Found {
        let state = parent.cluster.state
        let key = RequestedHost.Key(cluster: state.identity, port: names.port, name: name)
        guard let host = hosts.find(key, clusterName: state.name, at: second) else {
            services.metrics.reached(.requestedHosts)
            return .full("\(RequestedHosts.limit) hosts are being resolved or in use")
        }
        host.touch(at: second)
        switch host.status {
        case .ready: return .destination(destination(of: host, parent, services))
        case .failed(let reason): return .failed(reason)
        case .resolving, .gone: break    // the control plane says of both when they should be asked for again
        }
        guard services.hostWaits.hasRoom else {
            services.metrics.reached(.hostWaits)
            return .full("\(HostWaits.limit) requests wait for their host to be resolved")
        }
        return .wait(host)
    }

    private func destination(
        of host: RequestedHost, _ parent: DestinationHandle, _ services: WorkerServices
    ) -> DestinationHandle {
        if let found = known[host.key.name], found.host === host { return found.destination }
        if known.count >= Self.mostKnown {
            services.metrics.reached(.knownHosts)
            known = known.filter { $0.value.host.status != .gone }
        }
        let made = DestinationHandle(of: parent, cluster: Cluster(host.cluster))
        known[host.key.name] = (host, made)
        return made
    }
}
