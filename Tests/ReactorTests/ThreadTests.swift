import Glibc
import Reactor
import Testing

@Suite struct `A thread` {
    /// The niceness that a thread started with `niceness` sees, and its name.
    private func seen(_ niceness: Int32) throws -> Int32? {
        let answers = try Mailbox<Int32>()
        try Thread.start("nice", niceness: niceness) {
            answers.post(getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0))
        }
        _ = DescriptorWait.untilReadable(answers.descriptor, milliseconds: 20_000)
        return answers.takeAll().first
    }

    @Test func `steps back as far as it is told, and nobody else with it`() throws {
        let own = getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0)
        #expect(try seen(0) == own)
        #expect(try seen(19) == 19)
        #expect(getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0) == own)
    }
}
