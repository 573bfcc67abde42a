internal import Octets
internal import Synchronization

/// Gives endpoints their numbers: small ones, since workers have tables by number. A number is given again
/// only when nobody has the endpoint any more, so that tables do not grow with every pod that ever was.
///
/// Thread: any. Freed by: the last endpoint with one of its numbers.
package final class EndpointNumbers: Sendable {
    private struct State: Sendable {
        var free: [Int] = []
        var next = 0
    }

    private let state = Lock(State())

    package init() {}

    /// A free number: one that was given back, else the next one.
    func take() -> Int {
        state.withLock { state in
            if let free = state.free.popLast() { return free }
            defer { state.next += 1 }
            return state.next
        }
    }

    /// Frees a number, which another endpoint may then get.
    func giveBack(_ number: Int) { state.withLock { $0.free.append(number) } }
}
