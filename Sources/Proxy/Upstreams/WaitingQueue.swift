/// Who asks for a connection.
struct Applicant {
    /// Its number; below zero for copies for mirrors.
    let exchange: Int
    /// Whether it wants a connection that nobody has used: one that was kept has just ended under its request.
    /// HTTP/1.1 only.
    var wantsNew = false
}

/// Exchanges that wait for a connection: those that want a new one, and the others; the oldest of each first. To join,
/// to be served and to leave take the same time however many wait. It takes as much memory as the most that have waited
/// together.
struct WaitingQueue {
    /// A place in the queue, which its exchange gives back when it leaves. Another exchange may have it afterwards.
    struct Place: Equatable {
        fileprivate let index: Int32
    }

    private struct Node {
        var exchange: Int
        var wantsNew: Bool
        var previous: Int32    // -1: the first
        var next: Int32    // -1: the last; of a free node, the next free one
    }

    /// The ends of one of the two lists.
    private struct Ends {
        var count = 0
        var first: Int32 = -1
        var last: Int32 = -1
    }

    private static let nobody = Int.min    // of a free node; copies for mirrors wait under numbers below zero

    private var nodes: ContiguousArray<Node> = []
    private var usual = Ends()
    private var choosy = Ends()    // those that want a new one
    private var free: Int32 = -1

    /// How many wait, whatever they want.
    var count: Int { usual.count + choosy.count }
    /// How many of them want a new connection.
    var choosyCount: Int { choosy.count }
    /// How many take any.
    var usualCount: Int { usual.count }

    /// Puts the exchange at the end of its list.
    mutating func join(_ applicant: Applicant) -> Place {
        var ends = applicant.wantsNew ? choosy : usual
        let index = place(
            for: Node(
                exchange: applicant.exchange, wantsNew: applicant.wantsNew, previous: ends.last, next: -1))
        if ends.last >= 0 { nodes[Int(ends.last)].next = index } else { ends.first = index }
        ends.last = index
        ends.count += 1
        if applicant.wantsNew { choosy = ends } else { usual = ends }
        return Place(index: index)
    }

    private mutating func place(for node: Node) -> Int32 {
        guard free >= 0 else {
            nodes.append(node)
            return Int32(truncatingIfNeeded: nodes.count - 1)    // the queue's limit is a million
        }
        let index = free
        free = nodes[Int(index)].next
        nodes[Int(index)] = node
        return index
    }

    /// Takes the exchange that has waited longest, of those that want a new connection or of the others; nil when none
    /// of these waits.
    mutating func serve(choosy isChoosy: Bool) -> Int? {
        let first = isChoosy ? choosy.first : usual.first
        guard first >= 0 else { return nil }
        let exchange = nodes[Int(first)].exchange
        unlink(first)
        return exchange
    }

    /// Takes an exchange out of the queue.
    /// - Returns: false when it is not at that place any more, and nothing happens.
    @discardableResult mutating func leave(_ place: Place, _ exchange: Int) -> Bool {
        guard nodes.indices.contains(Int(place.index)), nodes[Int(place.index)].exchange == exchange else {
            return false
        }
        unlink(place.index)
        return true
    }

    private mutating func unlink(_ index: Int32) {
        let node = nodes[Int(index)]
        var ends = node.wantsNew ? choosy : usual
        if node.previous >= 0 { nodes[Int(node.previous)].next = node.next } else { ends.first = node.next }
        if node.next >= 0 { nodes[Int(node.next)].previous = node.previous } else { ends.last = node.previous }
        ends.count -= 1
        if node.wantsNew { choosy = ends } else { usual = ends }
        nodes[Int(index)] = Node(exchange: Self.nobody, wantsNew: false, previous: -1, next: free)
        free = index
        if count == 0, nodes.count > Self.keptNodes { self = WaitingQueue() }
    }

    /// A queue that has become empty keeps the memory of so many.
    private static let keptNodes = 64
}
