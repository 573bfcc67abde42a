import Glibc
import Support
import Synchronization
import Testing

@testable import Reactor

/// The doors between threads.
@Suite struct `A mailbox` {
    @Test func `rings while something waits in it`() throws {
        let mailbox = try Mailbox<Int>()
        #expect(!DescriptorWait.untilReadable(mailbox.descriptor, milliseconds: 0))
        mailbox.post(1)
        mailbox.post(2)
        #expect(DescriptorWait.untilReadable(mailbox.descriptor, milliseconds: 0))
        #expect(mailbox.takeAll() == [1, 2])
        #expect(!DescriptorWait.untilReadable(mailbox.descriptor, milliseconds: 0))
        #expect(mailbox.takeAll() == [])
    }

    @Test func `loses nothing of what many threads post, and keeps each one's order`() throws {
        let mailbox = try Mailbox<(thread: Int, number: Int)>()
        let (threads, each) = (4, 500)
        for thread in 0..<threads {
            try Thread.start("poster") { for number in 0..<each { mailbox.post((thread, number)) } }
        }
        var next = [Int](repeating: 0, count: threads)
        while next.reduce(0, +) < threads * each {
            let rang = DescriptorWait.untilReadable(mailbox.descriptor, milliseconds: 20_000)
            #expect(rang)
            guard rang else { return }
            for message in mailbox.takeAll() {
                #expect(message.number == next[message.thread])
                next[message.thread] = message.number + 1
            }
        }
        #expect(next == [Int](repeating: each, count: threads))
    }

    @Test func `that is a bell holds one, however often it was rung, and rings again`() throws {
        let bell = try Mailbox<Void>()
        for _ in 0..<2 {
            for _ in 0..<1000 { bell.post(()) }
            #expect(DescriptorWait.untilReadable(bell.descriptor, milliseconds: 0))
            #expect(bell.takeAll().count == 1)
            #expect(!DescriptorWait.untilReadable(bell.descriptor, milliseconds: 0))
        }
    }

    @Test func `wakes a poller that takes a bounded number of events in a turn, and the rest in the next`() throws {
        let poller = try Poller()
        let bells = try (0..<Poller.eventsPerTurn + 20).map { _ in try Mailbox<Void>() }
        for (number, bell) in bells.enumerated() {
            try poller.watchReadable(bell.descriptor, token: UInt64(number))
            bell.post(())
        }
        #expect(poller.wait(milliseconds: 10_000) == Poller.eventsPerTurn)
        for index in 0..<Poller.eventsPerTurn { _ = bells[Int(poller[index].token)].takeAll() }
        #expect(poller.wait(milliseconds: 10_000) == 20)
        for index in 0..<20 { _ = bells[Int(poller[index].token)].takeAll() }
        #expect(poller.wait(milliseconds: 0) == 0)
    }

    @Test func `wakes a poller under its token`() throws {
        let (mailbox, other, poller) = (try Mailbox<Void>(), try Mailbox<Void>(), try Poller())
        try poller.watchReadable(mailbox.descriptor, token: .max)
        try poller.watchReadable(other.descriptor, token: 5)
        #expect(poller.wait(milliseconds: 0) == 0)
        mailbox.post(())
        #expect(poller.wait(milliseconds: 10_000) == 1)
        #expect(poller[0].token == .max && poller[0].isReadable)
        #expect(!poller[0].isWritable && !poller[0].isHungUp)
        poller.forget(mailbox.descriptor)
        #expect(poller.wait(milliseconds: 0) == 0)
    }
}

@Suite struct `A published value` {
    @Test func `is read once by each reader, and again after each replacement`() {
        let published = Published("a")
        var (first, second): (UInt64, UInt64) = (0, 0)
        #expect(published.read(ifNewerThan: &first) == "a")
        #expect(published.read(ifNewerThan: &first) == nil)
        published.replace(with: "b")
        published.replace(with: "c")
        #expect(published.read(ifNewerThan: &first) == "c")
        #expect(published.read(ifNewerThan: &first) == nil)
        #expect(published.read(ifNewerThan: &second) == "c")
        #expect(published.current == "c")
    }

    @Test func `never goes back for a reader, and comes to the last value`() throws {
        let published = Published(0)
        let last = 2000
        let ended = try Mailbox<Void>()
        try Thread.start("writer") {
            for number in 1...last { published.replace(with: number) }
            ended.post(())
        }
        var (seen, newest): (UInt64, Int) = (0, -1)
        var hasEnded = false
        while !hasEnded {
            hasEnded = DescriptorWait.untilReadable(ended.descriptor, milliseconds: 0)
            guard let value = published.read(ifNewerThan: &seen) else { continue }
            #expect(value >= newest)
            newest = value
        }
        #expect(newest == last)
    }
}

@Suite struct `The contents of a file` {
    @Test func `are all of it`() throws {
        let folder = TemporaryFolder()
        #expect(try FileContents.read(folder.write("file", "")) == [])
        let text = String(repeating: "0123456789", count: 10_000)
        #expect(try FileContents.read(folder.write("large", text)) == Array(text.utf8))
        #expect(try FileContents.read(folder.path + "/large", limitOctets: 100_000).count == 100_000)
    }

    @Test func `are refused when there are too many, with the file's name`() throws {
        let folder = TemporaryFolder()
        let path = folder.write("file", "12345")
        #expect(throws: FileContents.Failure.tooLarge(path: path, limitOctets: 4)) {
            _ = try FileContents.read(path, limitOctets: 4)
        }
    }

    @Test func `of a missing file are an error with a reason`() throws {
        let folder = TemporaryFolder()
        let missing = #expect(throws: FileContents.Failure.self) { _ = try FileContents.read(folder.path + "/none") }
        #expect(missing?.description == "cannot read \(folder.path)/none: No such file or directory")
    }

    @Test func `are those of regular files only: nothing is waited for`() throws {
        let folder = TemporaryFolder()
        let fifo = folder.path + "/fifo"
        #expect(unsafe mkfifo(fifo, 0o600) == 0)
        defer { unsafe unlink(fifo) }
        for path in [fifo, folder.path, "/dev/zero", "/dev/null"] {
            #expect(throws: FileContents.Failure.notRegular(path: path)) { _ = try FileContents.read(path) }
        }
    }
}
