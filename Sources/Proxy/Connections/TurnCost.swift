internal import HTTP

/// What a turn of the worker costs beside the input that sessions count, in units of `WorkBudget`. Work that is not
/// counted makes the turn longer for everybody, and no quota sees it.
enum TurnCost {
    /// Octets whose way through the gateway costs as much as a unit: they are copied, and sent.
    private static let octetsPerUnit = 32
    static func passed(octets: Int) -> Int32 { Int32(truncatingIfNeeded: octets / octetsPerUnit) }

    /// Octets that are thrown away unread: the kernel frees them, and makes the peer send more.
    private static let droppedOctetsPerUnit = 128
    private static let askingForMore: Int32 = 100
    static func dropped(octets: Int) -> Int32 {
        askingForMore &+ Int32(truncatingIfNeeded: octets / droppedOctetsPerUnit)
    }

    /// The end of a stream whose connection is lost: its request is ended at the other side, counted, and logged.
    static let endOfStream: Int32 = 60
}
