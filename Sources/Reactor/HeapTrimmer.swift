/// Gives memory back to the system after a peak, on a thread of its own. The C library keeps what is freed,
/// but for the end of each part of the heap: a wave of 10,000 handshakes would leave a process of 60 MB at
/// 470 MB for good, and the next small wave would be one too many for its container.
/// Any thread asks.
package final class HeapTrimmer: Sendable {
    private let bell: Mailbox<Void>
    private let never: Mailbox<Void>

    /// The wave goes on for a moment after its first part is over; and so often at most.
    private static let settling: Int32 = 1000, pause: Int32 = 4000
    /// With less than this to gain it is not worth the locks: whoever frees on a part of the heap that is
    /// being looked through waits.
    private static let worthwhile: UInt64 = 16 << 20

    /// Starts the thread, which lives as long as the process.
    package init() throws(SystemError) {
        bell = try Mailbox()
        never = try Mailbox()
        try Thread.start("heap") { [self] in run() }
    }

    /// Much was freed. Never blocks.
    package func request() { bell.post(()) }

    private func run() {
        var least = Self.slack()
        while true {
            _ = Output.waitUntilReadable(bell.descriptor, milliseconds: -1)
            sleep(Self.settling)
            _ = bell.takeAll()
            let slack = Self.slack()
            if slack > least + Self.worthwhile {
                HeapMemory.giveBack()
                least = Self.slack()
            } else {
                least = min(least, slack)
            }
            sleep(Self.pause)
        }
    }

    /// Resident octets that nobody uses; the code and the stacks are among them.
    private static func slack() -> UInt64 {
        let (resident, used) = (ProcessUsage.residentOctets(), HeapMemory.usedOctets())
        return resident > used ? resident - used : 0
    }

    private func sleep(_ milliseconds: Int32) {
        _ = Output.waitUntilReadable(never.descriptor, milliseconds: milliseconds)
    }
}
