import Synchronization
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
        names.answerUnseen(nil)                   // the same failure is told once
        #expect(names.answer(["10.0.0.2"]) == ["10.0.0.2"])
        #expect(names.directory.failures.isEmpty)
    }

    @Test func `keeps the last answer when there is an empty one`() throws {
        let names = try ScriptedNames("a.test")
        #expect(names.answer(["10.0.0.1"]) == ["10.0.0.1"])
        names.answerUnseen([])
        #expect(names.answer(["10.0.0.2"]) == ["10.0.0.2"])
    }

    @Test func `is settled when every name was tried, also without success`() throws {
        let names = try ScriptedNames("a.test")
        #expect(!names.directory.isSettled)
        #expect(names.answer(nil) == nil)
        #expect(names.directory.isSettled)
        #expect(names.answer(["::1"]) == ["::1"])
    }
}

/// A directory of one name, whose next answer is given by the test; a look-up waits for it.
private struct ScriptedNames {
    let name: String
    let directory: NameDirectory
    private let answers: Mailbox<[String]?>
    private let changes: Mailbox<Void>

    init(_ name: String) throws {
        let (answers, changes) = (try Mailbox<[String]?>(), try Mailbox<Void>())
        let unused = Queue()
        directory = try NameDirectory(
            refreshMilliseconds: 1,
            lookUp: { name throws(ResolverError) in
                guard let answer = unused.next(from: answers) else {
                    throw ResolverError(host: name, reason: "gone")
                }
                return answer
            },
            changed: { changes.post(()) })
        (self.name, self.answers, self.changes) = (name, answers, changes)
        directory.want([name])
    }

    /// Gives the next look-up its answer, `nil` for a failure; what the directory says after the change.
    func answer(_ answer: [String]?) -> [String]? {
        answers.post(answer)
        #expect(Output.waitUntilReadable(changes.descriptor, milliseconds: 10_000), "no change was told")
        #expect(changes.takeAll().count == 1, "an answer told a change that was none")
        return directory.addresses[name]
    }

    /// Gives an answer that is to change nothing; the `answer` after it finds out.
    func answerUnseen(_ answer: [String]?) { answers.post(answer) }
}

/// Answers that were taken out of the mailbox together and are given one by one.
private final class Queue: Sendable {
    private let answers = Mutex<[[String]?]>([])

    func next(from mailbox: Mailbox<[String]?>) -> [String]? {
        while true {
            let next = answers.withLock { answers -> [String]?? in
                answers += mailbox.takeAll()
                return answers.isEmpty ? .none : .some(answers.removeFirst())
            }
            if let next { return next }
            _ = Output.waitUntilReadable(mailbox.descriptor, milliseconds: -1)
        }
    }
}
