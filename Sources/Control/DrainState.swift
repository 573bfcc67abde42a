internal import Proxy
internal import Reactor

/// The course of a drain: what the workers are asked to do, one after the other, and when it is over. It knows no
/// worker and no clock.
///
///     announced → refusing → closed → refusing the late ones → over
///
/// Clients are asked with GOAWAY to go elsewhere; a second later their new streams are refused. Who connects until
/// the accept time is over is served; then the listeners close, and those who came late go the same two steps.
struct DrainState: Equatable {
    /// What has been done last.
    enum Stage: Equatable {
        /// Every client was sent a first GOAWAY.
        case announced
        /// Streams that clients open later are refused.
        case refusing
        /// No connection is accepted any more, and clients that came late were sent a first GOAWAY.
        case closed
        /// The late clients' new streams are refused, too. Streams may finish until the drain time is over.
        case refusingLate
    }

    /// What follows when the drain is looked at.
    enum Action: Equatable {
        case tell(WorkerMessage)
        /// All is done, or the time is over.
        /// - Parameter cuts: whether streams are cut.
        case stop(cuts: Bool)
    }

    private(set) var stage = Stage.announced
    private let began: MonotonicTime
    private let accepting: Duration
    private let limit: Duration

    /// How long after the first GOAWAY the final one follows, which refuses new streams.
    private static let announceTime = Duration.seconds(1)

    /// - Parameters:
    ///   - began: when all clients were sent the first GOAWAY.
    ///   - accepting: for how long connections are still accepted.
    ///   - limit: for how long streams may go on.
    init(began: MonotonicTime, accepting: Duration, limit: Duration) {
        self.began = began
        self.accepting = accepting
        self.limit = limit
    }

    /// What is due.
    /// - Parameter isIdle: whether nobody is served any more.
    mutating func look(now: MonotonicTime, isIdle: Bool) -> [Action] {
        var actions: [Action] = []
        while let (next, after, messages) = following, now >= began + after {
            stage = next
            actions += messages.map(Action.tell)
        }
        let hasClosed = stage == .closed || stage == .refusingLate
        if isIdle && hasClosed {
            actions.append(.stop(cuts: false))
        } else if now >= began + limit {
            actions.append(.stop(cuts: !isIdle))
        }
        return actions
    }

    private var following: (stage: Stage, after: Duration, messages: [WorkerMessage])? {
        switch stage {
        case .announced: (.refusing, min(Self.announceTime, accepting), [.refuseNewStreams])
        case .refusing: (.closed, accepting, [.closeListeners, .announceShutdown])
        case .closed: (.refusingLate, accepting + Self.announceTime, [.refuseNewStreams])
        case .refusingLate: nil
        }
    }
}
