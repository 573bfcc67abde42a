package import Octets

/// How much of a turn a connection takes, what waits for the next one, and what it may waste.
extension HTTP2Session {
    /// As `receive`, where octets were postponed: `rest` comes behind them.
    @inline(never)
    func receiveBehindPostponed(_ rest: inout Octets) -> Bool {
        guard let postponed = input.postponed.take() else { return !isTerminating }
        postponed.append(rest)
        rest = .empty
        var part = postponed.octets.dropFirst(input.postponedRead)
        let isGood = receive(&part)
        input.postponedRead = postponed.count - part.count
        input.postponed = postponed
        return isGood
    }

    /// Whether the last `receive` left octets because the connection's quota of this turn was used up. It stays
    /// so until the next `receive`, also after `endTurn`.
    package var isOverQuota: Bool { input.isOverQuota }

    /// Keeps what `receive` left, in the session, for a later turn of the owner: `receive` with no further octets
    /// goes on with it. The owner should read nothing from the socket while `hasWaitingInput`, so that no more
    /// than one read of it is kept. To be called behind `endTurn`.
    package func postpone(_ rest: Octets) {
        guard rest.count > 0, !isTerminating else { return }
        let buffer = input.postponed ?? pools.takeBuffer(for: rest.count)
        buffer.append(rest)
        input.postponed = buffer
    }

    /// Whether `postpone` has kept octets that were not read yet.
    package var hasWaitingInput: Bool { input.postponed != nil && !isTerminating }

    /// The events that point into the postponed input are forgotten: what was read of it can go.
    func dropReadOctets() {
        guard let postponed = input.postponed else { return }
        postponed.take(min(input.postponedRead, postponed.count))
        input.postponedRead = 0
        guard postponed.isEmpty || isTerminating else { return }
        input.postponed = nil
        pools.give(postponed)
    }

    /// A number for the header section, or the frame other than DATA, that has begun and is not complete; nil when
    /// there is none. As long as the number stays, it is the same one: an owner that limits the time for it starts
    /// the clock when the number changes, whatever octets come meanwhile.
    /// A server's preface and first SETTINGS count as one.
    package var unfinishedHeaders: UInt32? {
        let isBegun = receiving.stream != 0 || input.carry != nil || (isServer && !input.isSettingsSeen)
        // What is postponed waits for us, not for the peer.
        return isBegun && !isTerminating && input.postponed == nil ? input.completed : nil
    }

    /// The peer has caused work that nobody wanted; too much of it ends the connection.
    /// - Parameter violation: what the connection ends for.
    func waste(_ units: Int32, _ violation: HTTP2Violation) {
        if !budget.waste(units, at: pools.second) { terminate(violation) }
    }
}
