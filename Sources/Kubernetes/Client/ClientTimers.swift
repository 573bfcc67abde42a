internal import Reactor

/// The client's clock and its timers.
///
/// Thread: its owner's. Freed by: the loop that made it.
final class ClientTimers {
    /// Whom a timer wakes.
    enum Purpose: Equatable {
        /// A request has been silent for too long, perhaps.
        case call(CallNumber)
        /// A connection has been silent for a while, or was not made in time.
        case connection(Int)
        /// The next try to connect is due, or what prepares one takes long.
        case reconnect
        /// A watch has waited as long as it wanted.
        case watcher(Int)
    }

    private var wheel = TimerWheel(now: .now())
    private var due: ContiguousArray<UInt64> = []
    private(set) var now = ClientTimers.moment()

    /// The present, as of the last `turn`.
    var second: UInt32 { UInt32(truncatingIfNeeded: now.steady / 1000) }

    private static func moment() -> Moment {
        let wall = WallTime.now()
        return Moment(
            wall: Int64(wall.seconds) * 1000 + Int64(wall.nanoseconds / 1_000_000),
            steady: Int64(clamping: MonotonicTime.now().nanoseconds / 1_000_000))
    }

    /// Reads the clock.
    /// - Returns: what is due.
    func turn() -> [Purpose] {
        now = Self.moment()
        due.removeAll(keepingCapacity: true)
        wheel.expire(now: .now(), into: &due)
        return due.map(Self.purpose)
    }

    /// Milliseconds until something may be due; -1: nothing is.
    var wait: Int32 { wheel.wait(now: .now()) }

    /// Has `turn` return the purpose once after that many milliseconds; below zero counts as zero.
    func arm(after milliseconds: Int, _ purpose: Purpose) -> TimerWheel.TimerID {
        wheel.arm(at: .now() + .milliseconds(max(milliseconds, 0)), token: Self.token(purpose))
    }

    /// Whether the timer has fired, and was not armed again since.
    func hasFired(_ timer: TimerWheel.TimerID) -> Bool { wheel.hasFired(timer) }

    /// Cancels a timer; nothing happens if it is not set.
    func cancel(_ timer: inout TimerWheel.TimerID) { wheel.cancel(&timer) }

    private static func token(_ purpose: Purpose) -> UInt64 {
        switch purpose {
        case .call(let number): 1 << 56 | UInt64(truncatingIfNeeded: number) & mask
        case .connection(let number): 2 << 56 | UInt64(truncatingIfNeeded: number) & mask
        case .reconnect: 3 << 56
        case .watcher(let number): 4 << 56 | UInt64(truncatingIfNeeded: number) & mask
        }
    }

    private static func purpose(_ token: UInt64) -> Purpose {
        let number = Int(truncatingIfNeeded: token & mask)
        return switch token >> 56 {
        case 1: .call(number)
        case 2: .connection(number)
        case 3: .reconnect
        default: .watcher(number)
        }
    }

    private static let mask: UInt64 = 1 << 56 - 1
}
