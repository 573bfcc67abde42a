/// What is done for a client that waits while all places for connections are taken: connections of its worker that
/// have no use are given up first, then other workers are asked for such ones, and only after that one that is idle is
/// closed. For one worker; it knows no socket and no clock.
struct PlaceSearch {
    /// How often the other workers are asked for silent connections before one that was useful is closed.
    private static let mostAsked = 10
    /// Seconds between two warnings.
    private static let warningPause = 60

    /// How often the other workers were asked since a client was last accepted, by the listener's number.
    private var asked: [Int: Int] = [:]
    private var nextWarning = 0    // wall seconds

    /// What may be given up for a client of a listener. Other workers may have clients that never spoke: those go
    /// before an idle one of this worker.
    func sacrifice(of listener: Int, hasOtherWorkers: Bool) -> EvictionOrder.Kind {
        (asked[listener] ?? 0) >= Self.mostAsked || !hasOtherWorkers ? .idle : .silent
    }

    /// This worker had nothing to give up, so that the others are asked.
    /// - Parameters:
    ///   - sacrifice: what might have been given up.
    ///   - second: the present, in wall seconds.
    /// - Returns: whether a warning is due: nothing idle is left.
    mutating func foundNone(_ sacrifice: EvictionOrder.Kind, of listener: Int, at second: Int) -> Bool {
        asked[listener, default: 0] += 1
        guard sacrifice == .idle, second >= nextWarning else { return false }
        nextWarning = second + Self.warningPause
        return true
    }

    /// A client has got its place: the next one that waits begins with asking the other workers again.
    mutating func accepted(on listener: Int) {
        if !asked.isEmpty { asked[listener] = nil }
    }
}
