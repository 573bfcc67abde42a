internal import Reactor

/// The course of an upgrade in the process that takes another one's place. It knows no socket and no clock.
///
///     loading → ready → serving
///
/// When the predecessor has ended, nobody else serves, and this process does as soon as it can.
struct SuccessorState {
    /// For the main thread to carry out: the state itself does no I/O.
    enum Step: Equatable {
        case nothing
        /// Says to the predecessor that this process could serve.
        case sayReady
        case serve
        /// Listens to the predecessor no more.
        case forget
    }

    private var isReadySaid = false
    /// Whether the predecessor has ended, so that its sockets and ports are all ours.
    private(set) var isPredecessorGone = false

    /// The predecessor has said something, or nothing more.
    mutating func heard(_ heard: SuccessionLink.Heard) -> Step {
        switch heard {
        case .word(.go): return .serve
        case .ended:
            isPredecessorGone = true
            return .forget
        case .word, .nothing: return .nothing
        }
    }

    /// Asked now and then, before it serves.
    /// - Parameter isPrepared: whether requests would not have to wait for anything.
    mutating func look(isPrepared: Bool) -> Step {
        guard isPrepared else { return .nothing }
        if isPredecessorGone { return .serve }
        guard !isReadySaid else { return .nothing }
        isReadySaid = true
        return .sayReady
    }
}
