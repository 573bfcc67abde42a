internal import HTTP

/// What a connection may have to do that is read when all else of the turn is done and sent: work that may fill a
/// turn, or that nobody waits for.
enum Late: Int, CaseIterable {
    /// A step of a TLS handshake, or octets that may begin one.
    case handshakes
    /// Octets to be thrown away; in a long turn also the end of a client that has ended its side, and mostly leaves.
    case ends
    /// Much that is only passed on. In small pieces it would cost more, so it waits for its turn, and has large ones.
    case relays

    /// - Parameter isCrowded: whether the turn is long.
    init?(_ connection: Connection, isCrowded: Bool) {
        if connection.relay != nil {
            guard isCrowded, connection.isHeavy else { return nil }
            self = .relays
            return
        }
        guard connection.role == .downstream else { return nil }
        if connection.state.phase == .lingering || (isCrowded && connection.state.hasHungUp) {
            self = .ends
        } else if connection.mayShakeHands {
            self = .handshakes
        } else {
            return nil
        }
    }

    /// Units of work for these in a turn, however long it is.
    var room: Int32 {
        switch self {
        case .handshakes, .relays: 0
        case .ends: Int32(clamping: Listeners.acceptsPerTurn) * TurnCost.closing
        }
    }
}
