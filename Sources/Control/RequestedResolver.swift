internal import Balancing
internal import Octets
internal import Proxy
internal import Reactor
internal import Routing
internal import Synchronization
internal import Telemetry

/// Has the hosts resolved that requests have named, keeps their addresses fresh while they are in use, and forgets
/// them afterwards. It has look-ups of its own, so that clients who make up names keep no name of the configuration
/// waiting. The control plane's thread only.
struct RequestedResolver {
    /// What workers ask for, and get.
    let hosts: RequestedHosts
    private var entries: [RequestedHost.Key: Entry] = [:]
    private var directory: NameDirectory?    // once a host was named
    private var due: MonotonicTime?
    private let makeDirectory: (@escaping @Sendable () -> Void) throws(SystemError) -> NameDirectory

    private struct Entry {
        let host: RequestedHost
        var progress: Progress
        /// The answer that was published.
        var answer: [String] = []
        var endpoints: [PlannedEndpoint] = []
        /// Of its addresses.
        let families = FamilyMemory()
    }

    private enum Progress: Equatable {
        /// Whoever waits hears of a failure then.
        case resolving(until: MonotonicTime)
        case ready
        case failed(at: MonotonicTime)
    }

    /// How long requests wait for a look-up. Envoy: DnsCacheConfig.dns_query_timeout.
    static let longestWait = Duration.seconds(5)
    /// How long a failure is remembered, in which nobody looks the host up again.
    static let failureTime = Duration.seconds(5)
    /// How long a host is kept that no request names. Envoy: DnsCacheConfig.host_ttl.
    static let idleTime = Duration.seconds(300)
    /// The same when there are too many: requests for made-up names drive out no host that is in use.
    static let shortIdleTime = Duration.seconds(2)
    /// How often idle ones are looked for.
    private static let sweepPause = Duration.seconds(10)
    /// More addresses of one host are left out.
    static let mostAddresses = 16
    /// Room is made when more hosts are known, until fewer are.
    private static let crowd = RequestedHosts.limit * 7 / 8, afterCrowd = RequestedHosts.limit * 3 / 4

    /// - Parameters:
    ///   - wake: called, on any thread, when `settle` has something to do.
    ///   - makeDirectory: resolves names; gets what is to be called when an answer has changed.
    init(
        wake: @escaping @Sendable () -> Void,
        makeDirectory: @escaping (@escaping @Sendable () -> Void) throws(SystemError) -> NameDirectory = {
            changed throws(SystemError) in try NameDirectory(changed: changed)
        }
    ) {
        hosts = RequestedHosts(wake: wake)
        self.makeDirectory = makeDirectory
    }

    /// When `settle` has something to do without being woken; nil: never.
    var nextLook: MonotonicTime? { entries.isEmpty ? nil : due }

    /// What came of a look.
    struct Outcome {
        /// Hosts whose waiting requests go on.
        var settled: [RequestedHost] = []
        /// Numbers of endpoints that nobody has any more.
        var left: [Int] = []
        var limits: [ReachedLimit] = []
    }

    /// Takes new hosts and new answers, publishes them, and forgets what is not in use.
    /// - Returns: nil if nothing has happened since the last call.
    mutating func settle(at now: MonotonicTime, in clusters: inout ClusterDirectory) -> Outcome? {
        guard hosts.takeNews() || (nextLook.map { now >= $0 } ?? false) else { return nil }
        var outcome = Outcome()
        let fresh = hosts.takeFresh()
        for host in fresh {
            entries[host.key] = Entry(host: host, progress: .resolving(until: now + Self.longestWait))
        }
        if !fresh.isEmpty { want() }
        takeAnswers(at: now, &outcome, in: &clusters)
        let forgotten = forget(at: now, in: &clusters)
        if !forgotten.isEmpty {
            hosts.remove(forgotten)
            outcome.settled += forgotten    // requests that asked for one at this moment ask again
            want()
        }
        outcome.left = clusters.settleRequested()
        due = nextDue(at: now)
        return outcome
    }

    private mutating func want() {
        if directory == nil {
            let hosts = hosts
            do throws(SystemError) { directory = try makeDirectory { hosts.notice() } } catch { return }
        }
        directory?.want(Set(entries.keys.lazy.map(\.name)))
    }

    // MARK: answers

    private mutating func takeAnswers(
        at now: MonotonicTime, _ outcome: inout Outcome, in clusters: inout ClusterDirectory
    ) {
        let (addresses, failures) = (directory?.addresses ?? [:], directory?.failures ?? [:])
        for key in Array(entries.keys) {
            guard var entry = entries[key] else { continue }
            if let answer = addresses[key.name], !answer.isEmpty {
                guard answer != entry.answer else { continue }
                take(answer, &entry, at: now, &outcome, in: &clusters)
            } else if case .resolving(let until) = entry.progress, failures[key.name] != nil || now >= until {
                if failures[key.name] == nil { outcome.limits.append(.requestedTimeout) }
                let reason = failures[key.name] ?? "no answer for \(key.name) within \(Self.longestWait)"
                entry.progress = .failed(at: now)
                entry.host.settle(.failed(reason))
            } else {
                continue
            }
            outcome.settled.append(entry.host)
            entries[key] = entry
        }
    }

    private func take(
        _ answer: [String], _ entry: inout Entry, at now: MonotonicTime, _ outcome: inout Outcome,
        in clusters: inout ClusterDirectory
    ) {
        entry.answer = answer
        let (endpoints, refusal, isCut) = clusters.publish(
            answer, of: entry.host, before: entry.endpoints, entry.families)
        if isCut { outcome.limits.append(.requestedAddresses) }
        entry.endpoints = endpoints
        if endpoints.isEmpty {
            entry.progress = .failed(at: now)
            entry.host.settle(.failed(refusal ?? "\(entry.host.key.name) has no addresses"))
        } else {
            entry.progress = .ready
            entry.host.settle(.ready)
        }
    }

    // MARK: forgetting

    private mutating func forget(at now: MonotonicTime, in clusters: inout ClusterDirectory) -> [RequestedHost] {
        var forgotten = entries.values.filter { isOver($0, at: now) }
        for entry in forgotten { entries[entry.host.key] = nil }
        if entries.count > Self.crowd {
            let order = entries.values.filter { mayLeave($0, at: now) }.sorted { precedence($0) < precedence($1) }
            for entry in order.prefix(entries.count - Self.afterCrowd) {
                entries[entry.host.key] = nil
                forgotten.append(entry)
            }
        }
        for entry in forgotten { clusters.drop(entry.endpoints, of: entry.host) }
        return forgotten.map(\.host)
    }

    /// Whether a host may make room for others: its look-up is over, and it is not in use.
    private func mayLeave(_ entry: Entry, at now: MonotonicTime) -> Bool {
        switch entry.progress {
        case .resolving: false
        case .failed: true
        case .ready: now >= lastUse(of: entry) + Self.shortIdleTime
        }
    }

    private func lastUse(of entry: Entry) -> MonotonicTime {
        MonotonicTime(nanoseconds: entry.host.usedAt.load(ordering: .relaxed) * 1_000_000_000)
    }

    /// Failures go first, then what was not in use for the longest time.
    private func precedence(_ entry: Entry) -> (isOfUse: Int, UInt64) {
        (entry.progress == .ready ? 1 : 0, entry.host.usedAt.load(ordering: .relaxed))
    }

    private func isOver(_ entry: Entry, at now: MonotonicTime) -> Bool {
        switch entry.progress {
        case .resolving: return false
        case .failed(let at): return now >= at + Self.failureTime
        case .ready: return now >= lastUse(of: entry) + Self.idleTime
        }
    }

    private func nextDue(at now: MonotonicTime) -> MonotonicTime {
        var due = now + (entries.count > Self.crowd ? Self.shortIdleTime : Self.sweepPause)
        for entry in entries.values {
            switch entry.progress {
            case .resolving(let until): due = min(due, until)
            case .failed(let at): due = min(due, at + Self.failureTime)
            case .ready: break
            }
        }
        return due
    }
}

extension ClusterDirectory {
    /// Publishes the addresses of a host that requests have named, at most `RequestedResolver.mostAddresses` of each
    /// family.
    /// - Returns: those that requests are sent to, why others are not, and whether some are left out for their number.
    mutating func publish(
        _ addresses: [String], of host: RequestedHost, before: [PlannedEndpoint], _ families: FamilyMemory
    ) -> (endpoints: [PlannedEndpoint], refusal: String?, isCut: Bool) {
        var usable: Set<EndpointAddress> = []
        var ordered: [EndpointAddress] = []
        var counts = (ipv6: 0, ipv4: 0)
        var refusal: String?
        var isCut = false
        for text in addresses {
            let address = EndpointAddress.ip(text, port: host.key.port)
            // An answer may have thousands, and whoever owns the name decides on it.
            guard (address.isIPv6 ? counts.ipv6 : counts.ipv4) < RequestedResolver.mostAddresses else {
                isCut = true
                continue
            }
            if let reason = refusedRequested(address) {
                refusal = "nothing is sent to \(address), an address of \(host.key.name), \(reason)"
            } else if usable.insert(address).inserted {
                ordered.append(address)
                if address.isIPv6 { counts.ipv6 += 1 } else { counts.ipv4 += 1 }
            }
        }
        let endpoints = EndpointAddress.paired(ordered, before: PlannedEndpoint.others(before)).map {
            PlannedEndpoint(address: $0.address, other: $0.other, weight: 1)
        }
        let taken = endpoints.map { states.take(Self.key(host, $0), families) }
        for endpoint in before { states.release(Self.key(host, endpoint)) }
        host.cluster.publish(EndpointList(taken))
        return (endpoints, refusal, isCut)
    }

    /// Nobody asks for a host any more.
    mutating func drop(_ endpoints: [PlannedEndpoint], of host: RequestedHost) {
        host.cluster.leave()
        for endpoint in endpoints { states.release(Self.key(host, endpoint)) }
    }

    /// - Returns: numbers of endpoints that nobody has any more.
    mutating func settleRequested() -> [Int] { states.settle() }

    private static func key(_ host: RequestedHost, _ endpoint: PlannedEndpoint) -> EndpointStates.Key {
        EndpointStates.Key(
            host: host.key.name, port: host.key.cluster.port, address: endpoint.address, other: endpoint.other)
    }
}
