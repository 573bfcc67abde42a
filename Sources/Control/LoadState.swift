internal import Reactor

/// The course of the loads: one at a time, and what was asked for meanwhile. It reads nothing and knows no clock.
///
///     idle → loading → idle, or the load that was asked for meanwhile
struct LoadState {
    /// A load that is under way.
    struct Load: Equatable {
        /// Counted from 1.
        let number: Int
        /// What it reads anew.
        let extent: LoadExtent
        let began: MonotonicTime
        /// Whether it took too long and was asked to end.
        fileprivate(set) var isGivenUp = false
    }

    /// The load that is under way; nil: none is.
    private(set) var current: Load?
    /// How many have begun.
    private(set) var begun = 0
    private var isAnotherWanted = false    // of everything: a cluster's changes ask again by themselves

    /// Somebody wants a load.
    /// - Parameter isHeld: whether something other than a load is in its way.
    /// - Returns: the load that begins now; nil: a load of everything is made later, another one is not.
    mutating func want(_ extent: LoadExtent, isHeld: Bool, at now: MonotonicTime) -> Load? {
        guard current == nil, !isHeld else {
            if extent == .everything { isAnotherWanted = true }
            return nil
        }
        begun += 1
        let load = Load(number: begun, extent: extent, began: now)
        current = load
        return load
    }

    /// The load whose end answers what was asked for now: one that is under way may have read the files before they
    /// changed.
    var answering: Int { isAnotherWanted ? begun + 1 : begun }

    /// The load that is under way has ended. - Returns: that load; nil: there was none.
    mutating func end() -> Load? {
        defer { current = nil }
        return current
    }

    /// Whether a load was asked for meanwhile, which has to be asked for again now.
    mutating func takeWanted() -> Bool {
        defer { isAnotherWanted = false }
        return isAnotherWanted
    }

    /// When the load that is under way takes too long; nil: never.
    func deadline(limit: Duration) -> MonotonicTime? {
        current.flatMap { $0.isGivenUp ? nil : $0.began + limit }
    }

    /// Whether the load that is under way has to be asked to end: once for each load.
    mutating func isOverdue(at now: MonotonicTime, limit: Duration) -> Bool {
        guard let deadline = deadline(limit: limit), deadline <= now else { return false }
        current?.isGivenUp = true
        return true
    }
}
