internal import Proxy
internal import Reactor

/// The times of a drain, which all follow from one: how long the load balancer goes on sending connections after
/// readiness has turned.
package struct DrainSchedule: Sendable, Equatable {
    /// How long connections are accepted before clients of HTTP/2 are asked to go: who hears it earlier connects here
    /// again.
    package let acceptTime: Duration
    /// How long it takes until all of them are notified, so that not all connect elsewhere at once.
    package let noticeTime: Duration
    /// When the last streams are cut.
    package let limit: Duration

    /// What streams have beyond the time of the load balancer, where nothing else is asked for.
    package static let usualRest = Duration.seconds(40)
    /// The longest time in which clients are notified.
    static let longestNotice = Duration.seconds(10)

    /// - Parameters:
    ///   - deregistration: how long the load balancer goes on sending connections.
    ///   - limit: when streams are cut; nil: `usualRest` after the deregistration.
    ///   - acceptTime: nil: as long as the deregistration takes, but at most half of a limit that is given.
    package init(deregistration: Duration, limit: Duration? = nil, acceptTime: Duration? = nil) {
        self.limit = limit ?? deregistration + Self.usualRest
        let usual = limit.map { min(deregistration, $0 / 2) } ?? deregistration
        self.acceptTime = min(acceptTime ?? usual, self.limit)
        noticeTime = min(Self.longestNotice, (self.limit - self.acceptTime) / 3)
    }

    /// The same where another process accepts the connections already: clients may be notified at once.
    package var afterHandOver: DrainSchedule { DrainSchedule(deregistration: .zero, limit: limit) }

    /// How many waves there are: one for each second.
    var waves: Int { max(1, Int(noticeTime.components.seconds)) }
    /// From one wave to the next, and from a client's first GOAWAY to its final one.
    var waveTime: Duration { noticeTime / waves }
}

/// The course of a drain: what the workers are asked to do, one after the other, and when it is over. It knows no
/// worker and no clock.
///
///     accepting → telling, in waves → closed → refusing the late ones → over
///
/// Readiness has turned before it begins, and the next answer of HTTP/1.1 says `connection: close`. Clients of HTTP/2
/// are asked with GOAWAY to go elsewhere, a share of them at a time; with the next wave their new streams are refused.
/// Who connects meanwhile is served; then the listeners close, and those who came late go the same two steps.
/// Source: docs/operations.md, Draining.
struct DrainState: Equatable {
    /// What has been done last.
    enum Stage: Equatable {
        /// Nobody was notified but the clients of HTTP/1.1.
        case accepting
        /// The clients of this wave and of those before it were sent a first GOAWAY.
        case telling(wave: Int)
        /// No connection is accepted any more, and all clients were sent a first GOAWAY.
        case closed
        /// No client's new streams are taken. Streams may finish until the drain time is over.
        case refusingLate
    }

    /// What follows when the drain is looked at.
    enum Action: Equatable {
        case tell(WorkerMessage)
        /// All is done, or the time is over.
        /// - Parameter cuts: whether streams are cut.
        case stop(cuts: Bool)
    }

    /// What the workers hear first.
    static let begin = WorkerMessage.announceTo(.http1)

    private(set) var stage = Stage.accepting
    let began: MonotonicTime
    let schedule: DrainSchedule

    /// - Parameters:
    ///   - began: when readiness turned.
    ///   - schedule: how long each part takes.
    init(began: MonotonicTime, schedule: DrainSchedule) {
        self.began = began
        self.schedule = schedule
    }

    /// What is due.
    /// - Parameters:
    ///   - isIdle: whether nobody is served any more.
    ///   - isAccepting: whether a worker still accepts connections: they might wait in the kernel.
    mutating func look(now: MonotonicTime, isIdle: Bool, isAccepting: Bool) -> [Action] {
        var actions: [Action] = []
        while let (next, after, messages) = following(isIdle: isIdle), now >= began + after {
            stage = next
            actions += messages.map(Action.tell)
        }
        let isOver = now >= began + schedule.limit
        if isIdle, !isAccepting {
            actions.append(.stop(cuts: false))
        } else if isOver {
            actions.append(.stop(cuts: !isIdle))
        }
        return actions
    }

    private static let closing: [WorkerMessage] = [.closeListeners, .refuseNewStreams, .announceShutdown]

    /// - Parameter isIdle: there is nobody to be notified.
    private func following(isIdle: Bool) -> (stage: Stage, after: Duration, messages: [WorkerMessage])? {
        let (waves, waveTime, accepting) = (schedule.waves, schedule.waveTime, schedule.acceptTime)
        switch stage {
        case .accepting where isIdle, .telling where isIdle: return (.closed, accepting, Self.closing)
        case .accepting: return (.telling(wave: 0), accepting, [.announceTo(.wave(0, of: waves))])
        case .telling(let wave) where wave + 1 < waves:
            let next = DrainShare.wave(wave + 1, of: waves)
            return (
                .telling(wave: wave + 1), accepting + waveTime * (wave + 1), [.refuseNewStreams, .announceTo(next)]
            )
        case .telling: return (.closed, accepting + waveTime * waves, Self.closing)
        case .closed:
            return (.refusingLate, accepting + waveTime * waves + min(.seconds(1), waveTime), [.refuseNewStreams])
        case .refusingLate: return nil
        }
    }
}
