/// Returns memory to the system after a peak, on a thread of its own. The C library keeps what is freed, except at the
/// end of each arena: a wave of 10,000 handshakes would leave a process of 60 MB at 470 MB for good, and the next small
/// wave would exceed the limit of its container. Any thread may ask for it.
///
/// Thread: any. Freed by: nobody: its own thread, which has it, lasts as long as the process.
package final class HeapTrimmer: Sendable {
    private let bell: Mailbox<Void>
    private let never: Mailbox<Void>    // nobody posts to it: waiting for it is a sleep

    /// Milliseconds to wait after a request, because a wave goes on for a moment, and between two rounds.
    private static let settling: Int32 = 1000, pause: Int32 = 4000
    /// Octets that must be free before a round is worth its locks: a thread that frees memory waits while its arena is
    /// being visited.
    private static let worthwhile: UInt64 = 16 << 20

    /// Starts the thread, which runs as long as the process.
    package init() throws(SystemError) {
        bell = try Mailbox()
        never = try Mailbox()
        try Thread.start("heap") { [self] in run() }
    }

    /// Says that much memory was freed. Never blocks.
    package func request() { bell.post(()) }

    private func run() {
        var least = Self.slack()
        while true {
            _ = DescriptorWait.untilReadable(bell.descriptor, milliseconds: -1)
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

    /// Resident octets that are not allocated. Code and stacks are among them.
    private static func slack() -> UInt64 {
        let (resident, used) = (ProcessUsage.residentOctets(), HeapMemory.usedOctets())
        return resident > used ? resident - used : 0
    }

    private func sleep(_ milliseconds: Int32) {
        _ = DescriptorWait.untilReadable(never.descriptor, milliseconds: milliseconds)
    }
}
