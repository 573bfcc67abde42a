import HTTP
import Octets
import Testing

@testable import Kubernetes

/// The requests of the API server's client, without a connection.
@Suite struct `The requests in hand` {
    private var table = CallTable()
    private var now: Int64 = 1_000

    private static func whole(_ path: String = "/a") -> APIRequest { APIRequest(path: path, silence: 100) }
    private static func lasting(_ path: String = "/w") -> APIRequest {
        APIRequest(path: path, form: .lines, silence: 100)
    }

    /// Starts a request and sends it on connection 7.
    private mutating func sent(_ request: APIRequest) -> CallNumber {
        let number = table.start(request, at: now)
        let lacksRoom = table.sendWaiting(at: now) { call, _ in (7, call * 10) }
        #expect(!lacksRoom && !table.isWaiting)
        _ = table.takeActions()
        return number
    }

    private mutating func head(_ status: StaticString, _ call: CallNumber) -> Bool { head(status, [], call) }

    private mutating func head(
        _ status: StaticString, _ fields: [(StaticString, StaticString)], _ call: CallNumber
    ) -> Bool {
        let block = HeaderBlock()
        block.append(":status", status)
        for (name, value) in fields { block.append(name, value) }
        return table.received(block, for: call, at: now)
    }

    private mutating func body(_ text: String, _ call: CallNumber) {
        text.withOctets { table.received($0, for: call, at: now) }
    }

    /// What has come of requests, in words.
    private mutating func events() -> [String] {
        table.takeEvents().map { call, event in
            switch event {
            case .opened: "\(call) opened"
            case .line(let line): "\(call) line \(String(decoding: line, as: UTF8.self))"
            case .ended: "\(call) ended"
            case .answer(let answer): "\(call) answer \(answer.status) \(String(decoding: answer.body, as: UTF8.self))"
            case .secretLine(let text): "\(call) secret line of \(text.count)"
            case .secretAnswer(let text): "\(call) secret of \(text.count)"
            case .failed(let failure): "\(call) \(failure)"
            }
        }
    }

    @Test mutating func `wait in order, and are sent once there is room`() {
        let first = table.start(Self.whole("/1"), at: now)
        let second = table.start(Self.whole("/2"), at: now)
        #expect(table.isWaiting && table.takeActions().isEmpty, "the time runs from the sending")
        var asked: [String] = []
        let lacksRoom = table.sendWaiting(at: now) { _, request in
            asked.append(request.path)
            return request.path == "/1" ? (7, 3) : nil
        }
        #expect(lacksRoom && asked == ["/1", "/2"] && table.isWaiting)
        #expect(table.takeActions() == [.arm(call: first, after: 100)])
        let lacksMore = table.sendWaiting(at: now) { _, _ in (8, 5) }
        #expect(!lacksMore && !table.isWaiting)
        #expect(table.takeActions() == [.arm(call: second, after: 100)])
    }

    @Test mutating func `are at most four whose answers are taken as a whole, beside any number of watches`() {
        for _ in 0..<6 { _ = table.start(Self.whole(), at: now) }
        for _ in 0..<6 { _ = table.start(Self.lasting(), at: now) }
        var sent: [String] = []
        let send: (CallNumber, APIRequest) -> (connection: Int, slot: Int)? = { call, request in
            sent.append(request.path)
            return (7, call)
        }
        let lacksRoom = table.sendWaiting(at: now, send)
        #expect(!lacksRoom && table.isWaiting, "these do not want another connection")
        #expect(sent.filter { $0 == "/a" }.count == 4 && sent.filter { $0 == "/w" }.count == 6)
        _ = table.sendWaiting(at: now, send)
        let waits = table.takeActions().count { $0 == .reached(.answersWaiting) }
        #expect(waits == 2, "each counts once")
        sent = []
        let isFinal = head("200", 1)
        table.finished(1)
        _ = table.sendWaiting(at: now, send)
        #expect(isFinal && sent == ["/a"])
    }

    @Test mutating func `have an answer as a whole`() {
        let call = sent(Self.whole())
        let isInterim = !head("103", call)
        let isFinal = head("429", [("retry-after", "3")], call)
        body("no", call)
        body("w", call)
        #expect(isInterim && isFinal && !table.hasEvents)
        table.finished(call)
        #expect(events() == ["1 answer 429 now"] && table.takeActions() == [.disarm(call: call)])
        table.broke(call, code: 8)
        #expect(!table.hasEvents, "nothing comes after the end")
    }

    @Test mutating func `have lines as they come, and an end behind a whole line`() {
        let call = sent(Self.lasting())
        _ = head("200", call)
        body("a\nb", call)
        body("c\n", call)
        table.finished(call)
        let other = sent(Self.lasting())
        _ = head("200", other)
        body("half", other)
        table.finished(other)
        #expect(
            events() == [
                "1 opened", "1 line a", "1 line bc", "1 ended", "2 opened",
                "2 streamEnded(\"the server ended a watch within a line\")",
            ])
    }

    @Test mutating func `hand secrets over as such`() {
        var request = Self.whole()
        request.isSecret = true
        let call = sent(request)
        _ = head("200", call)
        body("12345", call)
        table.finished(call)
        request.form = .lines
        let watch = sent(request)
        _ = head("200", watch)
        body("123\n", watch)
        #expect(events() == ["1 secret of 5", "2 opened", "2 secret line of 3"])
    }

    @Test mutating func `are given up in other forms than JSON, and when too large`() {
        let form = sent(Self.whole())
        let isFinal = head("200", [("content-type", "application/cbor")], form)
        #expect(isFinal && table.takeActions() == [.disarm(call: 1), .cancel(call: 1, connection: 7, slot: 10)])
        let large = sent(APIRequest(path: "/", form: .whole(limit: 4), silence: 100))
        _ = head("200", large)
        body("1234", large)
        #expect(table.takeActions().isEmpty)
        body("5", large)
        #expect(
            table.takeActions()
                == [.disarm(call: 2), .reached(.answerOctets), .cancel(call: 2, connection: 7, slot: 20)])
        #expect(
            events() == [
                "1 streamEnded(\"the server answers in application/cbor, and JSON was asked for\")", "2 tooLarge",
            ])
    }

    @Test mutating func `for a watch are given up when the refusal in its place is too large`() {
        let watch = sent(Self.lasting())
        _ = head("403", watch)
        body(String(repeating: "x", count: 1 << 20), watch)
        #expect(table.takeActions().isEmpty)
        body("x", watch)
        #expect(table.takeActions().contains(.reached(.answerOctets)) && events() == ["1 tooLarge"])
    }

    @Test mutating func `end when they are silent for too long`() {
        let call = sent(Self.lasting())
        now += 60
        _ = head("200", call)
        now += 60
        table.checkSilence(call, at: now)
        #expect(table.takeActions() == [.arm(call: call, after: 40)])
        table.allow(silence: 200, for: call)
        #expect(table.takeActions() == [.arm(call: call, after: 200)])
        now += 140
        table.checkSilence(call, at: now)
        #expect(events() == ["1 opened", "1 timedOut"])
        #expect(
            table.takeActions()
                == [.disarm(call: call), .reached(.answerTime), .cancel(call: call, connection: 7, slot: 10)])
    }

    @Test mutating func `end in time without a connection, if they are timed from their start`() {
        var request = Self.whole()
        request.isTimedFromStart = true
        let call = table.start(request, at: now)
        #expect(table.takeActions() == [.arm(call: call, after: 100)])
        table.checkSilence(call, at: now + 100)
        #expect(events() == ["1 timedOut"] && !table.isWaiting)
        #expect(table.takeActions() == [.disarm(call: call), .reached(.answerTime)])
    }

    @Test mutating func `are sent again when the server has refused them, before all others`() {
        let call = sent(Self.whole("/refused"))
        _ = table.start(Self.whole("/later"), at: now)
        table.broke(call, code: ErrorCode.refusedStream)
        #expect(!table.hasEvents && table.takeActions() == [.disarm(call: call)])
        var paths: [String] = []
        _ = table.sendWaiting(at: now) { call, request in
            paths.append(request.path)
            return (8, call)
        }
        #expect(paths == ["/refused", "/later"])
        _ = head("200", call)
        table.broke(call, code: ErrorCode.refusedStream)
        #expect(events() == ["1 streamEnded(\"the server reset the stream (code 7 of HTTP/2)\")"])
    }

    @Test mutating func `end with their connection, and leave those of another one alone`() {
        let lost = sent(Self.whole())
        let other = table.start(Self.whole(), at: now)
        _ = table.sendWaiting(at: now) { call, _ in (8, call) }
        table.lost(connection: 7, reason: "gone")
        #expect(events() == ["\(lost) connectionLost(\"gone\")"])
        table.lost(connection: 8, reason: "gone, too")
        #expect(events() == ["\(other) connectionLost(\"gone, too\")"])
    }

    @Test mutating func `say nothing more when they were given up`() {
        let call = sent(Self.lasting())
        _ = head("200", call)
        table.cancel(call)
        #expect(events().isEmpty)
        #expect(table.takeActions() == [.disarm(call: call), .cancel(call: call, connection: 7, slot: 10)])
        let waiting = table.start(Self.whole(), at: now)
        table.cancel(waiting)
        #expect(!table.isWaiting && table.takeActions() == [.disarm(call: waiting)])
    }
}
