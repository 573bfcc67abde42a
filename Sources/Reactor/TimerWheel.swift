/// Many timers, armed and cancelled in constant time: 1,024 buckets of one millisecond each; a timer
/// that is further away than a round stays in its bucket and is passed over until its round comes.
/// Pure: time is a parameter. Precision is a millisecond; a timer never fires early.
package struct TimerWheel {
    /// An armed timer, for `cancel`. Plain data; to cancel a timer that has fired has no effect, so what
    /// one timer does may cancel another that fired in the same turn.
    package struct Handle: Equatable {
        fileprivate let node: Int32
        fileprivate let generation: UInt32
        package static let none = Handle(node: -1, generation: 0)
        package var isArmed: Bool { node >= 0 }
    }

    private struct Node {
        var tick: UInt64 = 0    // absolute milliseconds
        var token: UInt64 = 0
        var next: Int32 = -1
        var previous: Int32 = -1
        var generation: UInt32 = 0    // grows by one at each end of a timer
    }

    private static let buckets = 1024
    private var heads = [Int32](repeating: -1, count: buckets)
    private var nodes: [Node] = []
    private var free: [Int32] = []
    private var position: UInt64    // all ticks up to this one have been looked at
    private var quiet: UInt64    // up to this one, the buckets of the ticks to come are empty
    package private(set) var count = 0

    package init(now: MonotonicTime) {
        position = now.nanoseconds / 1_000_000
        quiet = position
    }

    /// Arms a timer that gives `token` back at `deadline` or at most 2 ms later.
    package mutating func arm(at deadline: MonotonicTime, token: UInt64) -> Handle {
        let tick = max(deadline.nanoseconds / 1_000_000 + 1, position + 1)
        let index: Int32
        if let reused = free.popLast() {
            index = reused
        } else {
            index = Int32(nodes.count)
            nodes.append(Node())
        }
        let bucket = Int(tick % UInt64(Self.buckets))
        let generation = nodes[Int(index)].generation
        nodes[Int(index)] = Node(
            tick: tick, token: token, next: heads[bucket], previous: -1, generation: generation)
        if heads[bucket] >= 0 { nodes[Int(heads[bucket])].previous = index }
        heads[bucket] = index
        count += 1
        quiet = min(quiet, position + (tick - position - 1) % UInt64(Self.buckets))
        return Handle(node: index, generation: generation)
    }

    package mutating func cancel(_ handle: inout Handle) {
        if handle.isArmed, nodes[Int(handle.node)].generation == handle.generation { unlink(handle.node) }
        handle = .none
    }

    /// Whether the timer's time has come and nobody has armed it anew since: what an owner asks before it acts on a
    /// token, for what other timers of the same turn did may have changed whose that is.
    package func hasFired(_ handle: Handle) -> Bool {
        handle.isArmed && nodes[Int(handle.node)].generation != handle.generation
    }

    /// Milliseconds from `now` until something may be due; -1 when nothing is armed.
    package mutating func wait(now: MonotonicTime) -> Int32 {
        guard count > 0 else { return -1 }
        let current = now.nanoseconds / 1_000_000
        guard current <= position else { return 0 }
        quiet = max(quiet, position)
        while heads[Int((quiet + 1) % UInt64(Self.buckets))] < 0, quiet < position + UInt64(Self.buckets) { quiet += 1 }
        return Int32(quiet + 1 - current)
    }

    /// Collects the tokens of all timers due at `now` and disarms them.
    package mutating func expire(now: MonotonicTime, into due: inout ContiguousArray<UInt64>) {
        let current = now.nanoseconds / 1_000_000
        guard current > position else { return }
        let steps = min(current - position, UInt64(Self.buckets))
        defer { position = current }
        guard count > 0 else { return }
        for step in 1...steps {
            var index = heads[Int((position + step) % UInt64(Self.buckets))]
            while index >= 0 {
                let node = nodes[Int(index)]
                if node.tick <= current {
                    due.append(node.token)
                    unlink(index)
                }
                index = node.next
            }
        }
    }

    private mutating func unlink(_ index: Int32) {
        let node = nodes[Int(index)]
        if node.previous >= 0 {
            nodes[Int(node.previous)].next = node.next
        } else {
            heads[Int(node.tick % UInt64(Self.buckets))] = node.next
        }
        if node.next >= 0 { nodes[Int(node.next)].previous = node.previous }
        nodes[Int(index)].generation &+= 1
        free.append(index)
        count -= 1
    }
}
