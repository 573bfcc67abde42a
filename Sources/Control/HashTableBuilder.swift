internal import Balancing
internal import Octets
internal import Reactor
internal import Synchronization

/// A table that was made for a cluster.
struct BuiltTable: Sendable {
    let cluster: ClusterState
    let table: HashTable
}

/// Makes the tables of consistent hashing on a thread of its own, which lasts while there is something to make: a large
/// one takes seconds. Any thread may ask.
final class HashTableBuilder: Sendable {
    private struct State {
        var waiting: [ClusterState] = []
        var isRunning = false
        /// The places of the tables in use.
        var sizes: [ObjectIdentifier: (cluster: ClusterState, size: Int)] = [:]
    }

    private let state = Lock(State())
    private let done: Mailbox<BuiltTable>

    /// Places of all tables together: 200 MB for rings, 67 MB for Maglev's. A cluster for which nothing is left has the
    /// smallest ring.
    static let mostPlaces = 1 << 24

    /// - Parameter done: gets the tables.
    init(done: Mailbox<BuiltTable>) { self.done = done }

    /// Makes tables for those of the clusters that want one.
    func want(_ clusters: [ClusterState]) {
        let wanting = clusters.filter(\.wantsTable)
        guard !wanting.isEmpty else { return }
        let starts = state.withLock { state in
            for cluster in wanting where !state.waiting.contains(where: { $0 === cluster }) {
                state.waiting.append(cluster)
            }
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard starts else { return }
        do throws(SystemError) {
            try Thread.start("hash-tables", niceness: Loader.niceness) { [self] in run() }
        } catch {
            // Without a thread it is done here; the tables must come.
            run()
        }
    }

    private func run() {
        while let cluster = takeNext() {
            guard !cluster.isGone, let job = cluster.takeTableJob() else { continue }
            let table = HashTable(fitting(job, cluster), for: job)
            done.post(BuiltTable(cluster: cluster, table: table))
        }
    }

    private func takeNext() -> ClusterState? {
        state.withLock { state in
            if let next = state.waiting.popLast() { return next }
            state.isRunning = false
            return nil
        }
    }

    /// The job within the places that are left.
    private func fitting(_ job: HashTable.Job, _ cluster: ClusterState) -> HashTable.Job {
        state.withLock { state in
            state.sizes = state.sizes.filter { !$0.value.cluster.isGone && $0.value.cluster !== cluster }
            let others = state.sizes.values.reduce(0) { $0 + $1.size }
            let fitting = others + job.size <= Self.mostPlaces ? job : job.smallest
            state.sizes[ObjectIdentifier(cluster)] = (cluster, fitting.size)
            return fitting
        }
    }
}
