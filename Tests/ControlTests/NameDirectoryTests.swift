import Manifests
import Octets
import Synchronization
import Telemetry
import Testing

@testable import Control
@testable import Reactor

@Suite struct `The directory of names` {
    @Test func `takes up an answer that changed`() throws {
        let names = try ScriptedNames("a.test")
        #expect(names.answer(["10.0.0.1"]) == ["10.0.0.1"])
        names.answerUnseen(["10.0.0.1"])
        #expect(names.answer(["10.0.0.2", "10.0.0.3"]) == ["10.0.0.2", "10.0.0.3"])
    }

    @Test func `keeps the last answer while look-ups fail`() throws {
        let names = try ScriptedNames("a.test")
        #expect(names.answer(["10.0.0.1"]) == ["10.0.0.1"])
        #expect(names.answer(nil) == ["10.0.0.1"])
        #expect(names.directory.failures == ["a.test": "cannot resolve a.test: gone"])
        names.answerUnseen(nil)    // the same failure is told once
        #expect(names.answer(["10.0.0.2"]) == ["10.0.0.2"])
        #expect(names.directory.failures.isEmpty)
    }

    @Test func `keeps the last answer when there is an empty one`() throws {
        let names = try ScriptedNames("a.test")
        #expect(names.answer(["10.0.0.1"]) == ["10.0.0.1"])
        names.answerUnseen([])
        #expect(names.answer(["10.0.0.2"]) == ["10.0.0.2"])
    }

    @Test func `takes no more addresses of a name than fit into an answer of DNS`() throws {
        let most = NameDirectory.mostAddresses
        let reached = Lock<[ReachedLimit]>([])
        let changes = try Mailbox<Void>()
        let all = (0...most).map { "10.1.\($0 / 256).\($0 % 256)" }.sorted()
        let directory = try NameDirectory(
            lookUp: { name in name == "few.test" ? Array(all.dropLast()) : all },
            reached: { limit in reached.withLock { $0.append(limit) } }, changed: { changes.post(()) })
        for name in ["few.test", "many.test"] {
            directory.want([name])
            #expect(DescriptorWait.untilReadable(changes.descriptor, milliseconds: 60_000))
            _ = changes.takeAll()
            #expect(directory.addresses[name] == Array(all.prefix(most)))
            #expect(reached.withLock { $0 } == (name == "few.test" ? [] : [.nameAddresses]))
        }
    }

    @Test func `is settled when every name was tried, also without success`() throws {
        let names = try ScriptedNames("a.test")
        #expect(!names.directory.isSettled)
        #expect(names.answer(nil) == nil)
        #expect(names.directory.isSettled)
        #expect(names.answer(["::1"]) == ["::1"])
    }
}

@Suite struct `A name whose server says nothing` {
    @Test func `delays no other name`() throws {
        let names = try SilentNames()
        names.directory.want(["a.silent.test", "b.good.test", "c.good.test"])
        #expect(names.wait { $0.addresses["b.good.test"] != nil && $0.addresses["c.good.test"] != nil })
        #expect(names.directory.addresses["a.silent.test"] == nil)
        names.release()
        #expect(names.wait { $0.addresses["a.silent.test"] == ["10.0.0.1"] })
    }

    @Test func `delays no name of another domain, however many there are of it`() throws {
        let names = try SilentNames()
        let silent = Set((0..<NameSchedule.mostAtOnce * 2).map { "a\($0).silent.test" })
        names.directory.want(silent)
        #expect(names.wait { _ in names.asked == NameSchedule.mostOfDomain })
        names.directory.want(silent.union(["z.good.test"]))
        #expect(names.wait { $0.addresses["z.good.test"] != nil })
        names.release()
        #expect(names.wait { $0.addresses.count == silent.count + 1 })
    }

    @Test func `is waited for a second, and no longer`() throws {
        let names = try SilentNames()
        names.directory.want(["b.good.test"])
        #expect(names.directory.waitForAnswers(of: ["b.good.test", "c.good.test"], limit: LoadLimit()))
        #expect(names.directory.addresses["c.good.test"] == ["10.0.0.2"])
        let silent: Set = ["a.silent.test", "b.good.test"]
        #expect(NameDirectory.longestWait == .seconds(1))
        #expect(!names.directory.waitForAnswers(of: silent, for: .milliseconds(20), limit: LoadLimit()))
        let limit = LoadLimit()
        limit.end()
        #expect(!names.directory.waitForAnswers(of: silent, for: .seconds(1000), limit: limit))
        names.release()
        #expect(names.directory.waitForAnswers(of: silent, for: .seconds(1000), limit: LoadLimit()))
    }

    @Test func `is waited for while it is new, and by no later load`() throws {
        let names = try SilentNames()
        let silent: Set = ["a.silent.test", "b.good.test"]
        #expect(!names.directory.waitForAnswers(of: silent, for: .milliseconds(20), limit: LoadLimit()))
        names.directory.want(silent)    // it took effect without its addresses
        #expect(names.directory.waitForAnswers(of: silent, for: .milliseconds(20), limit: LoadLimit()))
        let more = silent.union(["c.silent.test"])
        #expect(!names.directory.waitForAnswers(of: more, for: .milliseconds(20), limit: LoadLimit()))
        names.release()
    }

    @Test func `is awaited in effect until it was looked up for a second, and not in effect always`() {
        let start = MonotonicTime(nanoseconds: 1_000_000_000)
        var schedule = NameSchedule()
        _ = schedule.want(["silent.test"], at: start)
        for (milliseconds, isAwaited) in [(0, true), (999, true), (1000, false)] {
            let later = start + .milliseconds(milliseconds)
            let (_, awaited) = schedule.expect(["silent.test", "new.test"], at: later, longest: .seconds(1))
            #expect(awaited == (isAwaited ? ["silent.test", "new.test"] : ["new.test"]))
        }
        let (_, later) = schedule.expect(["new.test"], at: start + .seconds(9), longest: .seconds(1))
        #expect(later == ["new.test"])
    }

    @Test func `of a load that takes effect later is kept while others are wanted`() throws {
        let start = MonotonicTime(nanoseconds: 1)
        var schedule = NameSchedule()
        _ = schedule.want(["old.test"], at: start)
        let (isNew, awaited) = schedule.expect(["new.test"], at: start, longest: .seconds(1))
        #expect(isNew && awaited == ["new.test"] && !schedule.areTried(awaited))
        _ = schedule.takeDue(now: MonotonicTime(nanoseconds: 1))
        for _ in 0..<3 {
            _ = schedule.ended("new.test", ["10.0.0.1"], nil, isSlow: false, next: MonotonicTime(nanoseconds: 2))
            let hasNew = schedule.want(["old.test"], at: start)    // endpoints of the plan in effect have changed
            #expect(!hasNew)
        }
        #expect(schedule.areTried(["new.test"]) && schedule.addresses["new.test"] == ["10.0.0.1"])
        _ = schedule.expect([], at: start, longest: .seconds(1))
        _ = schedule.want(["old.test"], at: start)
        #expect(schedule.addresses["new.test"] == nil)
    }

    @Test func `of a later load does not unsettle what was settled`() throws {
        let names = try SilentNames()
        names.directory.want(["b.good.test"])
        #expect(names.wait { $0.isSettled })
        names.directory.want(["a.silent.test", "b.good.test"])
        #expect(names.directory.isSettled)
        names.release()
    }
}

@Suite struct `The schedule of names` {
    private let start = MonotonicTime(nanoseconds: 1_000_000_000)
    private func after(_ time: Duration) -> MonotonicTime { start + time }

    @Test func `gives names of slow domains half of the places, and the other half to others`() {
        var schedule = NameSchedule()
        _ = schedule.want(["x.slow.test", "x.late.test"], at: start)
        _ = schedule.takeDue(now: start)
        for name in ["x.slow.test", "x.late.test"] {
            _ = schedule.ended(name, [], "gone", isSlow: true, next: after(.seconds(25)))
        }
        let slow = Set((0..<100).flatMap { ["a\($0).slow.test", "a\($0).late.test"] })
        _ = schedule.want(slow.union(["good.test"]), at: start)
        let taken = schedule.takeDue(now: after(.seconds(10)))
        #expect(taken.first == "good.test")
        #expect(taken.count == 1 + NameSchedule.mostOfDomain)
        let waits = schedule.takeWaits()
        #expect(waits > 0 && schedule.takeWaits() == 0)
    }

    @Test func `notes that names wait when all places are taken, and not before`() {
        var schedule = NameSchedule()
        _ = schedule.want(Set((0..<NameSchedule.mostAtOnce).map { "a.d\($0).test" }), at: start)
        #expect(schedule.takeDue(now: start).count == NameSchedule.mostAtOnce && schedule.takeWaits() == 0)
        var crowded = NameSchedule()
        _ = crowded.want(Set((0...NameSchedule.mostAtOnce).map { "a.d\($0).test" }), at: start)
        #expect(crowded.takeDue(now: start).count == NameSchedule.mostAtOnce)
        let waits = crowded.takeWaits()
        #expect(waits == 1 && crowded.takeWaits() == 0)
    }

    @Test func `looks up all names of a domain, some at a time, the newest first`() {
        var schedule = NameSchedule()
        var now = start
        let names = Set((0..<100).map { "a\($0).test.test" })
        _ = schedule.want(names, at: start)
        var running = schedule.takeDue(now: now)
        #expect(running.count == NameSchedule.mostOfDomain)
        _ = schedule.want(names.union(["new.test.test"]), at: start)
        var order: [String] = []
        while let name = running.popLast() {
            order.append(name)
            _ = schedule.ended(name, ["10.0.0.1"], nil, isSlow: false, next: now + .seconds(1000))
            now = now + .milliseconds(100)
            running += schedule.takeDue(now: now)
            #expect(running.count <= NameSchedule.mostOfDomain)
        }
        #expect(Set(order).count == 101)
        #expect(order.firstIndex(of: "new.test.test") ?? 100 < 2)
    }

    @Test func `looks a name up again when it is due, and not one that is not wanted any more`() {
        var schedule = NameSchedule()
        _ = schedule.want(["a.test", "b.test"], at: start)
        let first = schedule.takeDue(now: start)
        #expect(first.sorted() == ["a.test", "b.test"])
        _ = schedule.want(["a.test"], at: start)
        for name in ["a.test", "b.test"] {
            _ = schedule.ended(name, ["10.0.0.1"], nil, isSlow: false, next: after(.seconds(15)))
        }
        #expect(schedule.wait(now: start) == 15_000)
        let (early, late) = (schedule.takeDue(now: after(.seconds(14))), schedule.takeDue(now: after(.seconds(15))))
        #expect(early.isEmpty)
        #expect(late == ["a.test"])
        #expect(schedule.addresses == ["a.test": ["10.0.0.1"]])
    }

    @Test func `tells a failure once, when it begins`() {
        var schedule = NameSchedule()
        _ = schedule.want(["a.test"], at: start)
        for _ in 0..<3 { _ = schedule.ended("a.test", [], "gone", isSlow: false, next: start) }
        let (told, again) = (schedule.takeNewFailures(), schedule.takeNewFailures())
        #expect(told == ["a.test": "gone"])
        #expect(again.isEmpty)
    }
}

/// A directory for which names of `silent.test` have no answer before `release`.
private final class SilentNames: Sendable {
    let directory: NameDirectory
    private let gate: Gate
    private let changes: Mailbox<Void>

    /// How many look-ups may end, and how many began.
    private final class Gate: Sendable {
        let state = Lock((permits: 0, asked: 0))
        func pass() -> Bool {
            state.withLock { state in
                guard state.permits > 0 else { return false }
                state.permits -= 1
                return true
            }
        }
    }

    init() throws {
        let (gate, changes, never) = (Gate(), try Mailbox<Void>(), try Mailbox<Void>())
        directory = try NameDirectory(
            lookUp: { name throws(ResolverError) in
                guard name.hasSuffix("silent.test") else { return ["10.0.0.2"] }
                gate.state.withLock { $0.asked += 1 }
                while !gate.pass() { _ = DescriptorWait.untilReadable(never.descriptor, milliseconds: 2) }
                return ["10.0.0.1"]
            },
            changed: { changes.post(()) })
        (self.gate, self.changes) = (gate, changes)
    }

    var asked: Int { gate.state.withLock { $0.asked } }
    func release(_ count: Int = 1_000_000) { gate.state.withLock { $0.permits += count } }

    /// Waits until it is so; false after a minute without.
    func wait(_ isSo: (NameDirectory) -> Bool) -> Bool {
        let deadline = MonotonicTime.now() + .seconds(60)
        while !isSo(directory) {
            guard .now() < deadline else { return false }
            _ = DescriptorWait.untilReadable(changes.descriptor, milliseconds: 5)
            _ = changes.takeAll()
        }
        return true
    }
}

/// A directory of one name, whose next answer is given by the test; a look-up waits for it.
private struct ScriptedNames {
    let name: String
    let directory: NameDirectory
    private let answers: Mailbox<[String]?>
    private let changes: Mailbox<Int>

    init(_ name: String) throws {
        let (answers, changes) = (try Mailbox<[String]?>(), try Mailbox<Int>())
        let unused = Queue()
        directory = try NameDirectory(
            refreshMilliseconds: 1,
            lookUp: { name throws(ResolverError) in
                guard let answer = unused.next(from: answers) else {
                    throw ResolverError(host: name, reason: "gone")
                }
                return answer
            },
            changed: { changes.post(1) })
        (self.name, self.answers, self.changes) = (name, answers, changes)
        directory.want([name])
    }

    /// Gives the next look-up its answer, `nil` for a failure; what the directory says after the change.
    func answer(_ answer: [String]?) -> [String]? {
        answers.post(answer)
        #expect(DescriptorWait.untilReadable(changes.descriptor, milliseconds: 10_000), "no change was told")
        #expect(changes.takeAll().count == 1, "an answer told a change that was none")
        return directory.addresses[name]
    }

    /// Gives an answer that is to change nothing; the `answer` after it finds out.
    func answerUnseen(_ answer: [String]?) { answers.post(answer) }
}

/// Answers that were taken out of the mailbox together and are given one by one.
private final class Queue: Sendable {
    private let answers = Lock<[[String]?]>([])

    func next(from mailbox: Mailbox<[String]?>) -> [String]? {
        while true {
            let next = answers.withLock { answers -> [String]?? in
                answers += mailbox.takeAll()
                return answers.isEmpty ? .none : .some(answers.removeFirst())
            }
            if let next { return next }
            _ = DescriptorWait.untilReadable(mailbox.descriptor, milliseconds: -1)
        }
    }
}
