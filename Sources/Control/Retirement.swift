internal import Octets
internal import Proxy
internal import Reactor
internal import Routing
internal import Synchronization

/// Snapshots and endpoints that were replaced. They are kept until no worker uses them any more, so that it is never a
/// worker that frees a hundred thousand routes, and then freed on a thread that yields to everybody.
/// The control plane's thread only.
struct Retirement {
    private var waiting: [Retired] = []
    private var pause = firstPause

    private struct Retired {
        var snapshot: Snapshot?
        let loaded: Loaded?
        let endpoints: EndpointTable?
    }

    /// Milliseconds between two looks. Workers take a new snapshot at once, and their connections with them; those of a
    /// listener that is gone keep the last snapshot that had it, for hours perhaps, so looking gets rarer.
    private static let firstPause: Int32 = 10, longestPause: Int32 = 2000

    /// - Parameters:
    ///   - snapshot: nil when it stays.
    ///   - loaded: the load before, when that is not in use any more.
    ///   - endpoints: of that load.
    mutating func add(_ snapshot: Snapshot?, _ loaded: Loaded? = nil, _ endpoints: EndpointTable? = nil) {
        waiting.append(Retired(snapshot: snapshot, loaded: loaded, endpoints: endpoints))
        pause = Self.firstPause
    }

    /// When to look next, in milliseconds; -1 when there is nothing to look for.
    var wait: Int32 { waiting.isEmpty ? -1 : pause }

    /// Frees what nobody else holds.
    mutating func look() {
        guard !waiting.isEmpty else { return }
        var free: [Retired] = []
        var rest: [Retired] = []
        for index in waiting.indices {
            let isFree = waiting[index].snapshot == nil || isKnownUniquelyReferenced(&waiting[index].snapshot)
            if isFree { free.append(waiting[index]) } else { rest.append(waiting[index]) }
        }
        waiting = rest
        pause = free.isEmpty ? min(pause * 2, Self.longestPause) : Self.firstPause
        if !free.isEmpty { Self.burn(free) }
    }

    private static func burn(_ free: [Retired]) {
        let parcel = Parcel(free)
        try? Thread.start("release", niceness: Loader.niceness) {
            parcel.empty()
            HeapMemory.giveBack()
        }
    }

    /// The only holder of what is to be freed.
    ///
    /// Thread: the one that frees it. Freed by: the end of that thread.
    private final class Parcel: Sendable {
        private let content: Lock<[Retired]>
        init(_ content: [Retired]) { self.content = Lock(content) }
        func empty() { content.withLock { $0 = [] } }
    }
}
