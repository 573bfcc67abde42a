/// The handshakes of one worker in the order in which they began. Those that are over stay in the list until
/// it is cleared up: a token tells whether it still is the connection's.
struct HandshakeQueue {
    private var tokens: ContiguousArray<UInt64> = []
    private var first = 0
    private var clearAt = leastRoom
    /// Handshakes in progress.
    private(set) var count = 0

    private static let leastRoom = 1024
    /// Handshakes of a worker at a time while memory is used up: what is behind them would be refused. Each has about
    /// 45 kB and a millisecond's work.
    static let mostWhenShort = 16

    /// - Parameter keeping: whether a token is a handshake's in progress.
    mutating func begin(_ token: UInt64, keeping isInProgress: (UInt64) -> Bool) {
        if tokens.count >= clearAt { clear(keeping: isInProgress) }
        tokens.append(token)
        count += 1
    }

    /// One of them is done, has failed or was given up.
    mutating func ended() {
        assert(count > 0, "a handshake ends once")
        count -= 1
    }

    /// The oldest that was not taken before; perhaps it is over.
    mutating func popOldest() -> UInt64? {
        guard first < tokens.count else { return nil }
        defer { first += 1 }
        return tokens[first]
    }

    /// Often enough to stay small, and seldom enough to cost nothing: each handshake is looked at twice at most
    /// on the average.
    private mutating func clear(keeping isInProgress: (UInt64) -> Bool) {
        tokens = ContiguousArray(tokens[first...].filter(isInProgress))
        first = 0
        clearAt = max(2 * tokens.count, Self.leastRoom)
    }
}
