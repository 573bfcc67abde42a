internal import Octets

/// Where a worker makes the values of header operations. Nothing in it outlives the operations on one message.
///
/// Thread: its worker's. Freed by: `WorkerServices`.
final class HeaderScratch {
    /// The value that is being made.
    let buffer = OctetBuffer(capacity: 256)
    // The values that were made, in order; empty ones change nothing. They live in the message's block.
    private var values: ContiguousArray<Octets> = []
    /// How many of `values` are of this message, and how many of these were given out.
    private var used = 0
    private var given = 0
    /// Octets that operators have put into them.
    var takenOctets = 0
    /// What the operators of a rule may take for one message. Without a limit, a rule that repeats a field of the
    /// request ten times would make ten of every octet that a client sends.
    static let mostTakenOctets = 65_536
    /// Of the buffer, kept for the next request.
    private static let keptOctets = 4096

    /// Begins a header section: no value is noted.
    func begin() {
        used = 0
        given = 0
        takenOctets = 0
    }

    /// Begins a value, which is written to `buffer`.
    func beginValue() { buffer.clear(keeping: Self.keptOctets) }

    /// Notes a value whose octets live as long as the section.
    func note(_ value: Octets) {
        if used < values.count { values[used] = value } else { values.append(value) }
        used += 1
    }

    /// The next of the values that were noted, in order; traps if there is none.
    func nextValue() -> Octets {
        precondition(given < used)
        given += 1
        return values[given - 1]
    }

    /// Whether the values that were read are too long together: the request is answered instead.
    var isExceeded: Bool { takenOctets > Self.mostTakenOctets }
}
