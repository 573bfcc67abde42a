/// Exchanges that wait for a connection, the oldest first. To join, to be served and to leave take the same time
/// however many wait. It takes as much memory as the most that have waited together.
struct WaitingLine {
    /// A place in the line, which its exchange gives back when it leaves. Another exchange may have it afterwards.
    struct Place: Equatable {
        fileprivate let index: Int32
    }

    private struct Node {
        var exchange: Int
        var previous: Int32    // -1: the first
        var next: Int32    // -1: the last; of a free node, the next free one
    }

    private static let nobody = Int.min    // of a free node; copies for mirrors wait under numbers below zero

    private(set) var count = 0
    private var nodes: ContiguousArray<Node> = []
    private var first: Int32 = -1
    private var last: Int32 = -1
    private var free: Int32 = -1

    /// Puts the exchange at the end of the line.
    mutating func join(_ exchange: Int) -> Place {
        let index = place(for: Node(exchange: exchange, previous: last, next: -1))
        if last >= 0 { nodes[Int(last)].next = index } else { first = index }
        last = index
        count += 1
        return Place(index: index)
    }

    private mutating func place(for node: Node) -> Int32 {
        guard free >= 0 else {
            nodes.append(node)
            return Int32(truncatingIfNeeded: nodes.count - 1)    // the line's limit is a million
        }
        let index = free
        free = nodes[Int(index)].next
        nodes[Int(index)] = node
        return index
    }

    /// Takes the exchange that has waited longest; nil when none waits.
    mutating func serve() -> Int? {
        guard first >= 0 else { return nil }
        let exchange = nodes[Int(first)].exchange
        unlink(first)
        return exchange
    }

    /// Takes an exchange out of the line.
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
        if node.previous >= 0 { nodes[Int(node.previous)].next = node.next } else { first = node.next }
        if node.next >= 0 { nodes[Int(node.next)].previous = node.previous } else { last = node.previous }
        nodes[Int(index)] = Node(exchange: Self.nobody, previous: -1, next: free)
        free = index
        count -= 1
        if count == 0, nodes.count > Self.keptNodes { self = WaitingLine() }
    }

    /// A line that has become empty keeps the memory of so many.
    private static let keptNodes = 64
}
