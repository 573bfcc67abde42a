internal import Reactor

/// The course of an upgrade in the process that is followed by another one. It starts no process and knows no clock:
/// what has happened goes in, and what is to be done comes out.
///
///     idle → (wanted →) starting → going → handed over
///
/// Whatever goes wrong leads back to idle: nothing has changed for anybody.
struct UpgradeState {
    /// Where it stands.
    private enum Stage: Equatable {
        case idle
        /// It is wanted, and waits for the load that is under way.
        case wanted
        /// The successor loads its configuration.
        case starting(until: MonotonicTime)
        /// The successor may accept connections, and has to say that it does.
        case going(until: MonotonicTime)
        /// The successor has closed its connection, and its process is about to end.
        case ending(until: MonotonicTime)
        /// The successor serves.
        case handedOver
    }

    /// For the main thread to carry out: the state itself does no I/O.
    enum Step: Equatable {
        case nothing
        /// There is no upgrade, for that reason.
        case refuse(String)
        /// It waits for the load that is under way, and is wanted again when that has ended.
        case wait
        /// A successor is to be started; `started` follows if there is one.
        case start
        case say(SuccessionWord)
        /// The successor serves: this process stops to accept, and drains.
        case handOver
        /// The successor is to be ended, for that reason.
        case abandon(String)
        /// The same, because its time is over.
        case abandonLate
    }

    private var stage = Stage.idle

    /// How long a successor that was asked to go may take to accept connections.
    static let goTime = Duration.seconds(10)
    /// How long is waited for the end of a successor that has closed its connection. It is not dead to the kernel at
    /// once, and how it has ended can be asked for when it is.
    static let endTime = Duration.milliseconds(500)

    /// Whether it waits for a load.
    var isWanted: Bool { stage == .wanted }
    /// Whether the successor serves.
    var isHandedOver: Bool { stage == .handedOver }
    /// Whether a successor is on its way.
    var isUnderWay: Bool { deadline != nil }

    private var deadline: MonotonicTime? {
        switch stage {
        case .starting(let time), .going(let time), .ending(let time): time
        case .idle, .wanted, .handedOver: nil
        }
    }

    /// An operator wants an upgrade, or one that has waited goes on.
    /// - Parameters:
    ///   - obstacle: what is in its way; nil: nothing.
    ///   - isLoading: whether a load is under way.
    mutating func wanted(obstacle: String?, isLoading: Bool) -> Step {
        if stage == .wanted { stage = .idle }
        if let obstacle { return .refuse(obstacle) }
        guard isLoading else { return .start }
        stage = .wanted
        return .wait
    }

    /// A successor is started.
    /// - Parameter limit: how long it may take until it serves.
    mutating func started(at now: MonotonicTime, limit: Duration) { stage = .starting(until: now + limit) }

    /// The successor has said something, or nothing more.
    mutating func heard(_ heard: SuccessionLink.Heard, at now: MonotonicTime) -> Step {
        guard let deadline else { return .nothing }
        switch heard {
        case .nothing: return .nothing
        case .word(.ready):
            stage = .going(until: now + Self.goTime)
            return .say(.go)
        case .word(.serving):
            stage = .handedOver
            return .handOver
        case .word(.go): return abandon("it speaks another language")
        case .ended:
            if case .ending = stage { return .nothing }
            stage = .ending(until: min(deadline, now + Self.endTime))
            return .nothing
        }
    }

    /// The successor's process is no more: an upgrade under way is given up, and one that is over is not touched by it.
    mutating func processEnded() -> Step { isUnderWay ? abandon("it has ended") : .nothing }

    /// Asked now and then.
    mutating func look(at now: MonotonicTime) -> Step {
        guard let deadline, now >= deadline else { return .nothing }
        if case .ending = stage { return abandon("it has closed its connection") }
        stage = .idle
        return .abandonLate
    }

    /// The upgrade is given up for a reason of this process.
    mutating func abandoned() { if stage != .handedOver { stage = .idle } }

    private mutating func abandon(_ reason: String) -> Step {
        stage = .idle
        return .abandon(reason)
    }
}
