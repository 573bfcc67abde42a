/// How many octets of header sections a worker holds, in sum and for each connection: requests that are open,
/// sections that are not complete, trailers that wait. A few octets of HPACK can stand for 60 KiB of fields
/// (an index names a field of the table again and again), so the streams' number alone bounds nothing.
/// Its owner's thread only.
struct HeaderMemory {
    /// What all connections of a worker may hold.
    var limit = 64 << 20
    private(set) var octets = 0
    private var peak = 0    // octets, the most since `takeFall` gave some
    private let holders = SlotTable<Holder>()
    private var free: [Int32] = []

    private struct Holder {
        var octets = 0
        var isOpen = true
    }

    /// One connection's.
    mutating func open() -> Int32 {
        if let number = free.popLast() {
            holders[Int(number)] = Holder()
            return number
        }
        holders.append(Holder())
        return Int32(truncatingIfNeeded: holders.count - 1)
    }

    /// The connection is over; its blocks may still be held.
    mutating func close(_ holder: Int32) {
        holders[Int(holder)].isOpen = false
        if holders[Int(holder)].octets == 0 { free.append(holder) }
    }

    /// Octets of the header sections of one connection.
    func octets(of holder: Int32) -> Int { holders[Int(holder)].octets }

    /// Whether the connection may begin another section. What it holds must not be more than a quarter of
    /// what is left: so a few who hold much leave room for many who hold little, without a fixed share.
    func hasRoom(_ holder: Int32) -> Bool {
        let left = limit - octets
        return left > 0 && holders[Int(holder)].octets <= left / 4
    }

    /// Counts octets that a connection holds now (positive) or no longer (negative).
    @inline(__always)
    mutating func change(_ holder: Int32, by change: Int) {
        octets += change
        if octets > peak { peak = octets }
        holders[Int(holder)].octets += change
        if change < 0, !holders[Int(holder)].isOpen, holders[Int(holder)].octets == 0 { free.append(holder) }
    }
}

extension HeaderMemory {
    /// How far they have fallen from their peak, when that is much; the peak is where they are, then.
    mutating func takeFall(above least: Int) -> Int {
        guard peak - octets > least else { return 0 }
        defer { peak = octets }
        return peak - octets
    }
}

extension MessagePools {
    /// Octets of header sections that were let go of since they were most, when that is much.
    package func takeFreedHeaderOctets(above least: Int) -> Int { headerMemory.takeFall(above: least) }

    /// Octets of header sections that are held.
    package var headerOctets: Int { headerMemory.octets }

    /// Whether more than half of what header sections may hold is in use.
    package var isHeaderMemoryShort: Bool { headerOctets > headerLimit / 2 }

    /// What header sections may hold; new requests beyond it are refused.
    package var headerLimit: Int {
        get { headerMemory.limit }
        set { headerMemory.limit = newValue }
    }

    /// Counts what the block has come to against its connection; `letGo` ends that.
    @inline(__always)
    func charge(_ block: HeaderBlock, to holder: Int32) {
        headerMemory.change(holder, by: block.size - block.charged)
        block.charged = block.size
        block.holder = holder
    }
}
