/// How many octets of header sections a worker holds, in sum and for each connection: requests that are open,
/// sections that are not complete, trailers that wait. A few octets of HPACK can stand for 60 KiB of fields
/// (an index names a field of the table again and again), so the streams' number alone bounds nothing.
/// Its owner's thread only.
struct HeaderAccounts {
    /// What all connections of a worker may hold.
    var limit = 64 << 20
    private(set) var octets = 0
    private var peak = 0
    private let accounts = SlotTable<Account>()
    private var free: [Int32] = []

    private struct Account {
        var octets = 0
        var isOpen = true
    }

    /// One connection's.
    mutating func open() -> Int32 {
        if let number = free.popLast() {
            accounts[Int(number)] = Account()
            return number
        }
        accounts.append(Account())
        return Int32(truncatingIfNeeded: accounts.count - 1)
    }

    /// The connection is over; its blocks may still be held.
    mutating func close(_ account: Int32) {
        accounts[Int(account)].isOpen = false
        if accounts[Int(account)].octets == 0 { free.append(account) }
    }

    /// Octets of the header sections of one connection.
    func octets(of account: Int32) -> Int { accounts[Int(account)].octets }

    /// Whether the connection may begin another section. What it holds must not be more than a quarter of
    /// what is left: so a few who hold much leave room for many who hold little, without a fixed share.
    func hasRoom(_ account: Int32) -> Bool {
        let left = limit - octets
        return left > 0 && accounts[Int(account)].octets <= left / 4
    }

    /// Counts octets that a connection holds now (positive) or no longer (negative).
    @inline(__always)
    mutating func change(_ account: Int32, by change: Int) {
        octets += change
        if octets > peak { peak = octets }
        accounts[Int(account)].octets += change
        if change < 0, !accounts[Int(account)].isOpen, accounts[Int(account)].octets == 0 { free.append(account) }
    }
}

extension HeaderAccounts {
    /// How far they have fallen from their peak, when that is much; the peak is where they are, then.
    mutating func takeFall(above least: Int) -> Int {
        guard peak - octets > least else { return 0 }
        defer { peak = octets }
        return peak - octets
    }
}

extension MessagePools {
    /// Octets of header sections that were let go of since they were most, when that is much.
    package func takeFreedHeaderOctets(above least: Int) -> Int { accounts.takeFall(above: least) }

    /// Octets of header sections that are held.
    package var headerOctets: Int { accounts.octets }

    /// What header sections may hold; new requests beyond it are refused.
    package var headerLimit: Int {
        get { accounts.limit }
        set { accounts.limit = newValue }
    }

    /// Counts what the block has come to against its connection; `letGo` ends that.
    @inline(__always)
    func charge(_ block: HeaderBlock, to account: Int32) {
        accounts.change(account, by: block.size - block.charged)
        block.charged = block.size
        block.account = account
    }
}
