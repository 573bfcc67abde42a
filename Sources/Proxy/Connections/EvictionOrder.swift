internal import Reactor

/// Which of a worker's clients loses its connection first when all places are taken. Only connections without
/// requests have a place in it.
struct EvictionOrder: Comparable {
    /// From what is given up first to what is given up last.
    enum Kind: Int, Comparable {
        /// All is said, and only the client's end is missing.
        case ending
        /// The client has never said anything.
        case silent
        /// The client is idle, or has not yet come to its first request.
        case idle

        static func < (left: Kind, right: Kind) -> Bool { left.rawValue < right.rawValue }
    }

    let kind: Kind
    /// When octets last came, or the connection.
    let lastActive: MonotonicTime

    /// nil for what must stay: a connection with requests or that is relayed, an endpoint's, or one that is closed.
    init?(_ state: ConnectionState, openStreams: Int) {
        guard state.role == .downstream else { return nil }
        switch state.phase {
        case .connecting, .relaying, .closed: return nil
        case .lingering: kind = .ending
        case .sniffing(hasOctets: false), .proxyHeader:
            kind = state.lastActive == state.since ? .silent : .idle
        case .handshaking, .sniffing: kind = .idle
        case .open, .closing:
            guard openStreams == 0 else { return nil }
            kind = .idle
        }
        lastActive = state.lastActive
    }

    static func < (left: EvictionOrder, right: EvictionOrder) -> Bool {
        (left.kind, left.lastActive) < (right.kind, right.lastActive)
    }
}
