internal import Balancing
internal import Octets
internal import Reactor
internal import Synchronization

/// A table that was made for a cluster.
struct BuiltTable: Sendable {
    let cluster: ClusterState
    let table: HashTable
    /// Whether it is the smallest one, because the tables of all clusters have too many places.
    let isReduced: Bool
}

/// Makes the tables of consistent hashing on a thread of its own, which lasts while there is something to make: a large
/// one takes seconds. Any thread may ask.
///
/// Thread: any. Freed by: the last of the control plane and its own thread.
final class HashTableBuilder: Sendable {
    private struct State {
        var waiting: [ClusterState] = []
        var isRunning = false
        /// The places of the tables in use.
        var sizes: [ObjectIdentifier: (cluster: ClusterState, size: Int)] = [:]
    }

    private let state = Lock(State())
    private let done: Mailbox<BuiltTable>
    private let mostPlaces: Int

    /// Places of all tables together: 200 MB for rings, 67 MB for Maglev's. A cluster for which nothing is left has the
    /// smallest ring.
    static let mostPlaces = 1 << 24

    /// - Parameters:
    ///   - done: gets the tables.
    ///   - mostPlaces: of all tables together; tests set fewer.
    init(done: Mailbox<BuiltTable>, mostPlaces: Int = HashTableBuilder.mostPlaces) {
        self.done = done
        self.mostPlaces = mostPlaces
    }

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
            let (fitting, isReduced) = fitting(job, cluster)
            let table = HashTable(fitting, for: job)
            done.post(BuiltTable(cluster: cluster, table: table, isReduced: isReduced))
        }
    }

    private func takeNext() -> ClusterState? {
        state.withLock { state in
            if let next = state.waiting.popLast() { return next }
            state.isRunning = false
            return nil
        }
    }

    /// The job within the places that are left, and whether it had to be made smaller for that.
    private func fitting(_ job: HashTable.Job, _ cluster: ClusterState) -> (job: HashTable.Job, isReduced: Bool) {
        state.withLock { state in
            state.sizes = state.sizes.filter { !$0.value.cluster.isGone && $0.value.cluster !== cluster }
            let others = state.sizes.values.reduce(0) { $0 + $1.size }
            let fits = others + job.size <= mostPlaces
            let fitting = fits ? job : job.smallest
            state.sizes[ObjectIdentifier(cluster)] = (cluster, fitting.size)
            return (fitting, !fits)
        }
    }
}
