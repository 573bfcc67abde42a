internal import Balancing
internal import Proxy
internal import Reactor
internal import Routing

/// The clusters of the plan in effect with the endpoints that they have now. What is known of them is kept over
/// plans; a change of endpoints reaches the clusters that it concerns, and nothing else.
/// The control plane's thread only.
struct ClusterDirectory {
    /// One cluster. Clusters of a plan that cannot be distinguished share one.
    private struct Slot {
        let state: ClusterState
        var source: EndpointSource
        var locality: LocalityPolicy?
        var endpoints: [PlannedEndpoint] = []    // that were published
        var names: [PlannedName] = []    // that DNS has to resolve
        var families: FamilyMemory?    // of their addresses, once they are of both

        /// Whether the same table has the same list for it.
        func hasSameList(as other: Slot) -> Bool { source == other.source && locality == other.locality }
    }

    private var slots: [Slot] = []
    private var places: [ClusterIdentity: Int] = [:]
    private var order: [Int] = []    // by the plan's cluster number
    private var plans: [ClusterPlan] = []    // in effect, with their TLS
    private var security: [Int: ClusterTLS] = [:]
    // Who has to be asked after a change.
    private var byService: [ServiceName: [Int]] = [:]
    private var selecting: Set<Int> = []    // whose endpoints are pods themselves
    private var byName: [String: Set<Int>] = [:]

    private var table = EndpointTable()
    private var resolved: [String: [String]] = [:]
    var states: EndpointStates
    private var count = 0    // endpoints of all slots
    private var starts = 0    // staggers the clusters' rotations
    private var refusals: [Int: [String]] = [:]    // by slot, of addresses that DNS gave
    private let limit: Int
    private let refusal: (EndpointAddress) -> String?
    /// The same for addresses of hosts that requests have named.
    let refusedRequested: (EndpointAddress) -> String?
    private var watched: [ClusterState] = []    // whose outliers are detected, or whose new endpoints warm up
    private(set) var hashed: [ClusterState] = []    // whose endpoints are found by hash
    private var health: HealthDirectory
    private var checked: [HealthDirectory.Key: [Int]] = [:]    // slots whose endpoints are checked
    private let wake: @Sendable () -> Void
    var rollouts = Rollouts()

    /// - Parameters:
    ///   - limit: endpoints of all clusters together.
    ///   - refusal: as `CompileOptions.refusedEndpoint`, for addresses that DNS gives.
    ///   - refusedRequested: as `CompileOptions.refusedRequestedEndpoint`.
    ///   - countedBefore: what metrics have counted so far under an endpoint's number.
    ///   - wake: called, on any thread, when `settle` has something to do.
    init(
        limit: Int, refusal: @escaping (EndpointAddress) -> String? = { _ in nil },
        refusedRequested: @escaping (EndpointAddress) -> String? = { _ in nil },
        countedBefore: @escaping (Int) -> UInt64 = { _ in 0 }, wake: @escaping @Sendable () -> Void = {}
    ) {
        self.limit = limit
        self.wake = wake
        self.refusal = refusal
        self.refusedRequested = refusedRequested
        states = EndpointStates(countedBefore: countedBefore)
        health = HealthDirectory(refusal: refusal)
    }

    // MARK: what others may know

    /// In the plan's order.
    var clusters: [ClusterState] { order.map { slots[$0].state } }

    var endpoints: EndpointTable { table }

    /// Names that DNS has to resolve.
    var names: Set<String> { Set(byName.keys) }

    /// What is not sent to, as sentences.
    var refused: Set<String> { Set(refusals.values.joined()) }

    // MARK: changes

    /// Takes a plan and a table of endpoints. Clusters that stay keep what is known of them.
    /// - Parameters:
    ///   - next: nil if the table stays. Then clusters that stay have their endpoints already.
    ///   - tls: of the plan's clusters, by their numbers.
    /// - Returns: the numbers of endpoints that have left, and the table before.
    mutating func replace(
        plan: RoutingPlan, table next: EndpointTable?, tls: [Int: ClusterTLS] = [:]
    ) -> (left: [Int], table: EndpointTable?) {
        let hasSameTLS = ClusterTLS.isSame(tls, security)
        if next == nil, hasSameTLS, plan.clusters == plans || replace(with: plan.clusters) {
            return (settleStates(), nil)
        }
        (plans, security) = (plan.clusters, tls)
        let before = next == nil ? nil : table
        if let next { table = next }
        let (old, oldPlaces) = (slots, places)
        slots = []
        places.removeAll(keepingCapacity: true)
        slots.reserveCapacity(plan.clusters.count)
        order = plan.clusters.map { slot(of: $0, old, oldPlaces) }
        let unchecked = check(plan, tls)
        watch(plan)
        for place in unchecked { _ = slots[place].state.healthChanged() }
        for (identity, place) in oldPlaces where places[identity] == nil { drop(old[place]) }
        index(refusals: next == nil ? refusals : [:], old: oldPlaces)
        let reader = EndpointReader(table)
        for place in slots.indices {
            if next == nil, let known = oldPlaces[slots[place].state.identity], old[known].hasSameList(as: slots[place])
            {
                if table.selectsPods(slots[place].source) { selecting.insert(place) }
            } else {
                refresh(place, reader)
            }
        }
        return (settleStates(), before)
    }

    /// Takes a plan in which a few clusters have taken the places of others, as when a rule leads to another Service.
    /// The rest stay as they are, and are not looked at.
    /// - Returns: whether that is all; if not, nothing has changed.
    private mutating func replace(with next: [ClusterPlan]) -> Bool {
        guard next.count == plans.count else { return false }
        let changed = next.indices.filter { next[$0] != plans[$0] }
        let (left, came) = (changed.map { plans[$0] }, changed.map { next[$0] })
        // Each had its slot alone, and needs one; nothing but its endpoints is arranged for it.
        let isPlain = (left + came).allSatisfy { $0.policies == nil && $0.tls == nil }
        guard changed.count <= Self.mostReplaced, isPlain, Set(left.map(\.identity)).count == left.count,
            Set(came.map(\.identity)).count == came.count, came.allSatisfy({ places[$0.identity] == nil }),
            order.count == slots.count
        else { return false }
        let reader = EndpointReader(table)
        for (number, plan) in zip(changed, came) { replace(order[number], with: plan, reader) }
        plans = next
        return true
    }

    private static let mostReplaced = 64

    private mutating func replace(_ place: Int, with plan: ClusterPlan, _ reader: EndpointReader) {
        let old = slots[place]
        drop(old)
        places[old.state.identity] = nil
        wantNames([], place)
        if case .service(let lookup) = old.source {
            byService[lookup.service]?.removeAll { $0 == place }
            if byService[lookup.service]?.isEmpty == true { byService[lookup.service] = nil }
        }
        starts &+= 1
        slots[place] = Slot(
            state: ClusterState(name: plan.name, identity: plan.identity, start: starts), source: plan.source)
        places[plan.identity] = place
        if case .service(let lookup) = plan.source { byService[lookup.service, default: []].append(place) }
        refresh(place, reader)
    }

    /// Has outliers detected, endpoints found by hash, and some preferred by their place, where the plan says so, and
    /// nowhere else.
    private mutating func watch(_ plan: RoutingPlan) {
        var policies: [Int: OutlierPolicy] = [:]    // by slot; of clusters with one identity the first counts
        var tables: [Int: HashPolicy.Table] = [:]
        var localities: [Int: LocalityPolicy] = [:]
        var warmups: [Int: WarmupPolicy] = [:]
        for (cluster, place) in zip(plan.clusters, order) {
            if policies[place] == nil { policies[place] = cluster.policies?.outliers }
            if tables[place] == nil { tables[place] = cluster.policies?.hashing?.table }
            if localities[place] == nil { localities[place] = cluster.policies?.locality }
            if warmups[place] == nil { warmups[place] = cluster.policies?.warmup }
        }
        for place in slots.indices {
            slots[place].locality = localities[place]
            slots[place].state.arrange(by: localities[place]?.arrangement)
            slots[place].state.hash(by: tables[place])
        }
        hashed = tables.keys.sorted().map { slots[$0].state }
        for place in slots.indices {
            slots[place].state.detectOutliers(
                policies[place], health: health.counts(of: key(slots[place])), wake: wake)
            slots[place].state.warm(by: warmups[place], wake: wake)
        }
        let ofHealth = checked.values.joined()
        watched = Set(policies.keys).union(warmups.keys).union(ofHealth).sorted().map { slots[$0].state }
    }

    /// Ends ejections whose time is over, takes endpoints that are ejected out of the choice, and gives those that
    /// warm up what is due to them.
    /// - Parameter now: nanoseconds of the workers' clock.
    /// - Returns: what has happened, by cluster, and when the next call is due; nil: when it is woken.
    func settle(at now: UInt64) -> (events: [(cluster: String, event: OutlierEvent)], due: UInt64?) {
        var events: [(cluster: String, event: OutlierEvent)] = []
        var due: UInt64?
        for cluster in watched {
            let (news, next) = cluster.settle(at: now)
            for event in news { events.append((cluster.name, event)) }
            if let next { due = min(due ?? next, next) }
        }
        return (events, due)
    }

    /// Takes changed objects. - Returns: the numbers of endpoints that have left.
    mutating func update(_ changes: EndpointChanges) -> [Int] {
        let concern = table.apply(changes)
        var concerned = selecting.filter { place in
            slots[place].source.namespace.map(concern.podNamespaces.contains) ?? false
        }
        for service in concern.services { concerned.formUnion(byService[service] ?? []) }
        let reader = EndpointReader(table)
        for place in concerned.sorted() { refresh(place, reader) }
        return settleStates()
    }

    /// Takes the answers of DNS, all of them. - Returns: the numbers of endpoints that have left.
    mutating func update(resolved next: [String: [String]]) -> [Int] {
        var concerned: Set<Int> = []
        for (name, users) in byName where resolved[name] != next[name] { concerned.formUnion(users) }
        resolved = next
        let reader = EndpointReader(table)
        for place in concerned.sorted() { refresh(place, reader) }
        return settleStates()
    }

    /// Counts what was released. - Returns: the numbers of endpoints that have left.
    private mutating func settleStates() -> [Int] {
        let left = states.settle()
        health.leave(left)
        return left
    }

    // MARK: health checks

    private func key(_ slot: Slot) -> HealthDirectory.Key {
        HealthDirectory.Key(host: slot.state.identity.host, port: slot.state.identity.port)
    }

    /// Has endpoints checked where the plan says so, and nowhere else.
    /// - Returns: the slots whose endpoints are others to choose from, because some are checked no more.
    private mutating func check(_ plan: RoutingPlan, _ tls: [Int: ClusterTLS]) -> [Int] {
        var terms: [HealthDirectory.Key: HealthDirectory.Terms] = [:]
        checked = [:]
        for (index, (cluster, place)) in zip(plan.clusters, order).enumerated() {
            guard let policy = cluster.policies?.healthCheck else { continue }
            let key = key(slots[place])
            if checked[key]?.contains(place) != true { checked[key, default: []].append(place) }
            if cluster.tls != nil, tls[index]?.security == nil { continue }    // nothing is sent to it
            guard terms[key] == nil else { continue }
            terms[key] = HealthDirectory.Terms(
                policy: policy, isHTTP2: cluster.isHTTP2, security: tls[index]?.security,
                proxyVersion: cluster.policies?.proxyVersion)
        }
        guard health.isUsed || !terms.isEmpty else { return [] }
        let changed = health.update(terms)
        var outdated = changed.isEmpty ? [] : slots.indices.filter { changed.contains(key(slots[$0])) }
        for (key, places) in checked {
            for place in places where health.join(slots[place].state.endpoints, of: key) { outdated.append(place) }
        }
        return outdated
    }

    /// What the checker is to do, since the last call.
    mutating func takeHealthOrders() -> [HealthOrder] { health.takeOrders() }

    /// What the checks of an endpoint say; nil: it is not checked.
    func health(of endpoint: EndpointState) -> HealthHistory? { health.history(of: endpoint) }

    /// Takes what the checker has found.
    /// - Returns: changes of health, with the Service's host and port; and the clusters that have come to use all of
    ///   their endpoints (true), or do not any more (false).
    mutating func take(
        health news: [HealthNews]
    ) -> (changes: [(service: String, news: HealthNews)], panics: [(cluster: ClusterState, isPanicking: Bool)]) {
        var changes: [(service: String, news: HealthNews)] = []
        var concerned: Set<Int> = []
        for item in news {
            guard let (key, isChanged, concernsChoice) = health.take(item) else { continue }
            if isChanged { changes.append(("\(key.host):\(key.port)", item)) }
            if concernsChoice { concerned.formUnion(checked[key] ?? []) }
        }
        var panics: [(cluster: ClusterState, isPanicking: Bool)] = []
        for place in concerned.sorted() {
            if let isPanicking = slots[place].state.healthChanged() { panics.append((slots[place].state, isPanicking)) }
        }
        return (changes, panics)
    }

    // MARK: slots

    private mutating func slot(
        of cluster: ClusterPlan, _ old: [Slot], _ oldPlaces: [ClusterIdentity: Int]
    ) -> Int {
        let identity = cluster.identity
        if let known = places[identity] { return known }
        places[identity] = slots.count
        if let place = oldPlaces[identity] {
            slots.append(old[place])
            slots[slots.count - 1].source = cluster.source
        } else {
            starts &+= 1
            let state = ClusterState(name: cluster.name, identity: identity, start: starts)
            slots.append(Slot(state: state, source: cluster.source))
        }
        return slots.count - 1
    }

    private mutating func drop(_ slot: Slot) {
        slot.state.leave()
        count -= slot.endpoints.count
        for endpoint in slot.endpoints { states.release(key(slot, endpoint)) }
    }

    /// - Parameters:
    ///   - known: what was refused before and may be still.
    ///   - old: where the clusters of the last plan were.
    private mutating func index(refusals known: [Int: [String]], old: [ClusterIdentity: Int]) {
        byService = [:]
        selecting = []
        byName = [:]
        refusals = [:]
        if !known.isEmpty {
            for place in slots.indices {
                if let before = old[slots[place].state.identity] { refusals[place] = known[before] }
            }
        }
        byService.reserveCapacity(slots.count)
        for place in slots.indices {
            for name in slots[place].names { byName[name.host, default: []].insert(place) }
            if case .service(let lookup) = slots[place].source {
                byService[lookup.service, default: []].append(place)
            }
        }
    }

    private func key(_ slot: Slot, _ endpoint: PlannedEndpoint) -> EndpointStates.Key {
        let identity = slot.state.identity
        return EndpointStates.Key(
            host: identity.host, port: identity.port, address: endpoint.address, other: endpoint.other)
    }

    // MARK: endpoints

    /// Publishes the endpoints of one cluster if they are others now.
    private mutating func refresh(_ place: Int, _ reader: EndpointReader) {
        refusals[place] = nil
        if table.selectsPods(slots[place].source) { selecting.insert(place) } else { selecting.remove(place) }
        switch reader.endpoints(of: slots[place].source, by: slots[place].locality) {
        case .endpoints(let endpoints):
            wantNames([], place)
            publish(endpoints, place)
        case .names(let names):
            wantNames(names, place)
            publish(addresses(of: names, place), place)
        }
    }

    private mutating func wantNames(_ names: [PlannedName], _ place: Int) {
        guard names != slots[place].names else { return }
        for name in slots[place].names {
            byName[name.host]?.remove(place)
            if byName[name.host]?.isEmpty == true { byName[name.host] = nil }
        }
        for name in names { byName[name.host, default: []].insert(place) }
        slots[place].names = names
    }

    private mutating func addresses(of names: [PlannedName], _ place: Int) -> [PlannedEndpoint] {
        var endpoints: [PlannedEndpoint] = []
        var known: Set<EndpointAddress> = []
        let before = PlannedEndpoint.others(slots[place].endpoints)
        for name in names {
            var taken: [EndpointAddress] = []
            for text in resolved[name.host] ?? [] {
                let address = EndpointAddress.ip(text, port: name.port)
                guard known.insert(address).inserted else { continue }
                if let reason = refusal(address) {
                    refuse("nothing is sent to \(address), an address of \(name.host), \(reason)", place)
                } else {
                    taken.append(address)
                }
            }
            endpoints += EndpointAddress.paired(taken, before: before).map {
                PlannedEndpoint(address: $0.address, other: $0.other, weight: name.weight, rank: name.rank)
            }
        }
        return endpoints
    }

    private mutating func refuse(_ sentence: String, _ place: Int) { refusals[place, default: []].append(sentence) }

    private mutating func publish(_ wanted: [PlannedEndpoint], _ place: Int) {
        var endpoints = wanted
        let before = slots[place].endpoints
        guard endpoints != before else { return }
        if count - before.count + endpoints.count > limit {
            endpoints = []
            refuse("\(slots[place].state.name) has no endpoints: all clusters together have \(limit), the most", place)
        }
        count += endpoints.count - before.count
        if slots[place].families == nil, endpoints.contains(where: { $0.other != nil }) {
            slots[place].families = FamilyMemory()
        }
        let slot = slots[place]
        let taken = endpoints.map { states.take(key(slot, $0), slot.families) }
        for endpoint in before { states.release(key(slot, endpoint)) }
        if slot.names.isEmpty, !before.isEmpty { noteChange(of: slot.state, before, endpoints) }
        slots[place].endpoints = endpoints
        if health.isUsed { health.join(taken, of: key(slot)) }
        let ranks = slot.locality == nil ? [] : endpoints.map(\.rank)
        slot.state.publish(EndpointList(taken, weights: endpoints.map(\.weight), ranks: ranks))
    }

    /// Endpoints of a Service have come or gone. Addresses that DNS gives change for other reasons.
    private mutating func noteChange(of cluster: ClusterState, _ old: [PlannedEndpoint], _ new: [PlannedEndpoint]) {
        let (before, after) = (Set(old.map(\.address)), Set(new.map(\.address)))
        rollouts.changed(
            cluster, left: before.subtracting(after).count, came: after.subtracting(before).count, at: .now())
    }
}
