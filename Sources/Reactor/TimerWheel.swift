/// Many timers that are armed and cancelled in constant time: 1,024 buckets of one millisecond each. A timer that is
/// further away than one round stays in its bucket and is passed over until its round comes. It has no clock: the time
/// is a parameter. Its precision is a millisecond, and a timer never fires early.
package struct TimerWheel {
    /// Names a timer that was armed, for `cancel`. Cancelling a timer that has fired has no effect, so that the work of
    /// one timer may cancel another that fired in the same turn.
    package struct TimerID: Equatable {
        @usableFromInline let node: Int32
        fileprivate let generation: UInt32
        package static let none = TimerID(node: -1, generation: 0)
        /// Whether a timer was armed with it; the timer may have fired since.
        @inlinable @inline(__always) package var isArmed: Bool { node >= 0 }
    }

    private struct Node {
        var tick: UInt64 = 0    // absolute milliseconds
        var token: UInt64 = 0
        var next: Int32 = -1    // of the same bucket, or of the free nodes
        var previous: Int32 = -1
        var generation: UInt32 = 0    // grows by one whenever a timer ends
    }

    /// How many milliseconds have a bucket of their own, before the next shares the first one again.
    private static let bucketCount = 1024
    private var heads = [Int32](repeating: -1, count: bucketCount)
    private var nodes: [Node] = []
    private var free: Int32 = -1    // the first of the nodes without a timer
    private var position: UInt64    // ticks up to this one have expired
    private var quiet: UInt64    // the buckets of all ticks from `position` to this one are empty
    /// How many timers are armed.
    package private(set) var count = 0

    /// - Parameter now: where the wheel stands; timers for earlier times fire at its next turn.
    package init(now: MonotonicTime) {
        position = now.nanoseconds / 1_000_000
        quiet = position
    }

    /// Arms a timer. `expire` returns its token at `deadline`, or at most 2 ms later.
    package mutating func arm(at deadline: MonotonicTime, token: UInt64) -> TimerID {
        let tick = max(deadline.nanoseconds / 1_000_000 + 1, position + 1)
        let bucket = Int(tick % UInt64(Self.bucketCount))
        let next = heads[bucket]
        let index = takeNode()
        let generation = nodes[Int(index)].generation
        nodes[Int(index)] = Node(tick: tick, token: token, next: next, previous: -1, generation: generation)
        if next >= 0 { nodes[Int(next)].previous = index }
        heads[bucket] = index
        count += 1
        quiet = min(quiet, position + (tick - position - 1) % UInt64(Self.bucketCount))
        return TimerID(node: index, generation: generation)
    }

    /// Disarms a timer and sets its name to `none`. Has no effect on a timer that has fired.
    package mutating func cancel(_ timer: inout TimerID) {
        if timer.isArmed, nodes[Int(timer.node)].generation == timer.generation { unlink(timer.node) }
        timer = .none
    }

    /// Whether the timer has fired. An owner asks before it acts on a token, because other timers of the
    /// same turn may have given the token's slot to another owner.
    package func hasFired(_ timer: TimerID) -> Bool {
        timer.isArmed && nodes[Int(timer.node)].generation != timer.generation
    }

    /// Milliseconds from `now` until a timer may be due; -1 if none is armed.
    package mutating func wait(now: MonotonicTime) -> Int32 {
        guard count > 0 else { return -1 }
        let current = now.nanoseconds / 1_000_000
        guard current <= position else { return 0 }
        quiet = max(quiet, position)
        while heads[Int((quiet + 1) % UInt64(Self.bucketCount))] < 0, quiet < position + UInt64(Self.bucketCount) {
            quiet += 1
        }
        return Int32(quiet + 1 - current)
    }

    /// Collects the tokens of all timers due at `now` and disarms them.
    package mutating func expire(now: MonotonicTime, into due: inout ContiguousArray<UInt64>) {
        let current = now.nanoseconds / 1_000_000
        guard current > position else { return }
        let steps = min(current - position, UInt64(Self.bucketCount))
        defer { position = current }
        guard count > 0 else { return }
        for step in 1...steps {
            var index = heads[Int((position + step) % UInt64(Self.bucketCount))]
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

    @inline(__always)
    private mutating func takeNode() -> Int32 {
        let index = free
        guard index >= 0 else {
            nodes.append(Node())
            return Int32(nodes.count - 1)
        }
        free = nodes[Int(index)].next
        return index
    }

    private mutating func unlink(_ index: Int32) {
        let node = nodes[Int(index)]
        if node.previous >= 0 {
            nodes[Int(node.previous)].next = node.next
        } else {
            heads[Int(node.tick % UInt64(Self.bucketCount))] = node.next
        }
        if node.next >= 0 { nodes[Int(node.next)].previous = node.previous }
        nodes[Int(index)] = Node(next: free, generation: node.generation &+ 1)
        free = index
        count -= 1
    }
}
