internal import HTTP

/// What a turn of the worker costs beside the input that sessions count, in units of `WorkBudget`. Work that is not
/// counted makes the turn longer for everybody, and no quota sees it.
enum TurnCost {
    /// Octets whose way through the gateway costs as much as a unit: they are copied, and sent.
    private static let octetsPerUnit = 32
    static func passed(octets: Int) -> Int32 { Int32(truncatingIfNeeded: octets / octetsPerUnit) }

    /// The same of octets that nobody looks at, most of which the kernel moves from socket to socket.
    private static let relayedOctetsPerUnit = 128
    /// Reading and sending them, however few they are.
    private static let relaying: Int32 = 40
    static func relayed(octets: Int) -> Int32 { relaying &+ Int32(truncatingIfNeeded: octets / relayedOctetsPerUnit) }

    /// TLS records that were opened, however small they are.
    private static let perRecord: Int32 = 20
    static func opened(records: Int) -> Int32 { perRecord &* Int32(truncatingIfNeeded: records) }

    /// Octets that are thrown away unread: the kernel frees them, and makes the peer send more.
    private static let droppedOctetsPerUnit = 128
    private static let askingForMore: Int32 = 100
    static func dropped(octets: Int) -> Int32 {
        askingForMore &+ Int32(truncatingIfNeeded: octets / droppedOctetsPerUnit)
    }

    /// A connection that is accepted: the system calls, the objects, its place in epoll.
    static let accepting: Int32 = 200
    /// The end of a connection, likewise.
    static let closing: Int32 = 150

    private static let nanosecondsPerUnit: UInt64 = 50
    /// Work whose cost depends on others: a handshake's key may be cheap, or take a millisecond. A turn has its quota
    /// of it by then, and no more is said: a thread that waited for the processor has not worked.
    static func lasting(nanoseconds: UInt64) -> Int32 {
        min(WorkBudget.quotaPerTurn, Int32(clamping: nanoseconds / nanosecondsPerUnit))
    }

    /// The end of a stream whose connection is lost: its request is ended at the other side, counted, and logged.
    static let endOfStream: Int32 = 60
}
