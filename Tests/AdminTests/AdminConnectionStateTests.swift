import Reactor
import Telemetry
import Testing

@testable import Admin

/// How far a client of the admin server comes, without one.
@Suite struct `The course of a client of the admin server` {
    private typealias State = AdminConnectionState

    /// A connection, its clock, and all that it wanted to have done, in words.
    private struct Course {
        var state = State(at: MonotonicTime(nanoseconds: 1))
        var now = MonotonicTime(nanoseconds: 1)
        var log: [String] = []

        mutating func pass(_ seconds: Int) { now = now + .seconds(seconds) }

        mutating func note(_ actions: [State.Action]) {
            log += actions.map { action in
                switch action {
                case .ask(let request): "ask \(request.method) \(request.target)"
                case .proceed: "proceed"
                case .send(let response, let isHead, let isLast):
                    "send \(response.status)\(isHead ? " head" : "")\(isLast ? " last" : "")"
                case .finish: "finish"
                case .count(let limit): "count \(limit)"
                }
            }
        }

        mutating func receive(_ count: Int = 1) { note(state.received(count, at: now)) }
        mutating func receiveHead(_ head: State.Head = head()) { note(state.received(head, at: now)) }
        mutating func receiveBody(_ count: Int) { note(state.receivedBody(count, at: now)) }
        mutating func complete() { note(state.completed(at: now)) }
        mutating func answer() { note(state.answered(AdminResponse(200, "yes"), at: now)) }
        mutating func write(hasMore: Bool = false) { note(state.written(hasMore: hasMore, at: now)) }
        mutating func refuse(isTooLarge: Bool = false) {
            note(state.refused(AdminResponse(400, "no"), isTooLarge: isTooLarge, at: now))
        }
        mutating func expire() { note(state.expired()) }

        /// A whole request arrives.
        mutating func request(_ head: State.Head = head()) {
            receive()
            receiveHead(head)
            complete()
        }

        /// A request arrives, is answered, and the answer taken.
        mutating func exchange(_ head: State.Head = head()) {
            request(head)
            answer()
            write()
        }

        static func head(_ method: String = "GET") -> State.Head {
            State.Head(request: AdminRequest(method: method, target: "/"))
        }
    }

    /// A connection in each of the phases that has a deadline, in the order of a life.
    private func courses() -> [Course] {
        var course = Course()
        var all = [course]
        for step: (inout Course) -> Void in [
            { $0.receive() }, { $0.receiveHead() }, { $0.complete() }, { $0.answer() },
            { course in
                course.state.endAfterAnswer()
                course.write()
            },
        ] {
            course.pass(1)
            step(&course)
            all.append(course)
        }
        return all
    }

    @Test func `goes from request to request`() {
        var course = Course()
        #expect(course.state.phase == .idle && course.state.isReading)
        course.receive()
        #expect(course.state.phase == .reading(nil) && course.state.isReading)
        course.receiveHead()
        #expect(course.state.phase == .reading(State.Arrival(head: Course.head())))
        course.complete()
        #expect(course.state.phase == .waiting(State.Asked(isHead: false, isKeepAlive: true)))
        #expect(!course.state.isReading)
        course.answer()
        #expect(course.state.phase == .writing(isLast: false))
        course.write()
        #expect(course.state.phase == .idle)
        course.request(Course.head("HEAD"))
        course.answer()
        course.write(hasMore: true)
        #expect(course.state.phase == .reading(nil), "of the request that came meanwhile")
        #expect(course.log == ["ask GET /", "send 200", "ask HEAD /", "send 200 head"])
    }

    @Test func `ends our side behind the last answer, and waits for the client's end`() {
        var course = Course()
        var head = Course.head()
        head.isKeepAlive = false
        course.exchange(head)
        #expect(course.state.phase == .lingering(droppedOctets: 0))
        course.receive(100)
        course.receive(28)
        #expect(course.state.phase == .lingering(droppedOctets: 128) && !course.state.isClosed)
        course.state.broke()
        #expect(course.state.isClosed && course.log == ["ask GET /", "send 200 last", "finish"])
    }

    @Test func `drops so many late octets and no more`() {
        var course = Course()
        course.refuse()
        course.write()
        course.receive(State.mostLingerOctets)
        #expect(!course.state.isClosed)
        course.receive(1)
        #expect(course.state.isClosed && course.log == ["send 400 last", "finish", "count adminLinger"])
    }

    @Test(arguments: [(false, ["send 400 last"]), (true, ["count adminRequestOctets", "send 400 last"])])
    func `refuses what is no request, with the last answer`(isTooLarge: Bool, log: [String]) {
        for steps in 0..<3 {
            var course = Course()
            if steps > 0 { course.receive() }
            if steps > 1 { course.receiveHead() }
            course.refuse(isTooLarge: isTooLarge)
            #expect(course.state.phase == .writing(isLast: true) && course.log == log)
        }
    }

    @Test func `refuses a body that is said to be too large, before it comes`() {
        var course = Course()
        var head = Course.head("POST")
        head.bodyOctets = UInt64(State.mostBodyOctets)
        head.isAwaitingContinue = true
        course.receiveHead(head)
        #expect(course.log == ["proceed"])
        head.bodyOctets = .max
        course.receiveHead(head)
        #expect(course.log == ["proceed", "count adminRequestOctets", "send 413 last"])
        #expect(course.state.phase == .writing(isLast: true))
    }

    @Test func `refuses a body that becomes too large`() {
        var course = Course()
        course.receiveHead(Course.head("POST"))
        course.receiveBody(State.mostBodyOctets - 1)
        course.receiveBody(1)
        #expect(course.log.isEmpty && course.state.isReading)
        course.receiveBody(1)
        #expect(course.log == ["count adminRequestOctets", "send 413 last"])
    }

    @Test func `says with the hundredth answer that it is the last`() {
        var course = Course()
        for _ in 1..<State.requestsLimit { course.exchange() }
        #expect(course.state.phase == .idle && !course.log.contains { $0.hasPrefix("count") })
        course.exchange()
        #expect(course.log.suffix(4) == ["ask GET /", "count adminRequests", "send 200 last", "finish"])
    }

    @Test func `does not count the limit where the hundredth request ends it anyway`() {
        var course = Course()
        for _ in 1..<State.requestsLimit { course.exchange() }
        course.state.endAfterAnswer()
        #expect(course.state.isClosed)
        course = Course()
        for _ in 1..<State.requestsLimit { course.exchange() }
        course.request()
        course.state.endAfterAnswer()
        course.answer()
        #expect(course.log.last == "send 200 last" && !course.log.contains { $0.hasPrefix("count") })
    }

    @Test func `ends with the answer that the client waits for when it is to end`() {
        let phases = courses().map { course in
            var state = course.state
            state.endAfterAnswer()
            return state
        }
        #expect(phases[0].phase == .idle, "its first request is on its way")
        #expect(phases[1].phase == .reading(nil) && phases[2].isReading)
        #expect(phases[4].phase == .writing(isLast: true))
        var course = Course()
        course.request()
        course.state.endAfterAnswer()
        course.answer()
        course.write()
        #expect(course.log == ["ask GET /", "send 200 last", "finish"])
    }

    @Test func `has a deadline in each phase, from when the phase began`() {
        let courses = courses()
        #expect(
            zip(courses, [75, 10, 10, 600, 30, 2]).allSatisfy { course, seconds in
                course.state.deadline == course.state.since + .seconds(seconds)
            })
        // The head of a request gives no more time for the rest.
        #expect(courses[2].state.since == courses[1].state.since)
        #expect([0, 1, 3, 4, 5].allSatisfy { courses[$0].state.since == courses[$0].now })
        var closed = courses[0].state
        closed.broke()
        #expect(closed.deadline == nil)
    }

    @Test func `is over when its time is, and says which limit that was`() {
        let limits = courses().map { course in
            var course = course
            course.log = []
            course.expire()
            #expect(course.state.isClosed)
            course.expire()
            return course.log
        }
        #expect(
            limits == [
                ["count adminIdleTime"], ["count adminTime"], ["count adminTime"], ["count adminTime"],
                ["count adminTime"], ["count adminLinger"],
            ])
    }

    @Test func `does nothing with what comes in the wrong phase`() {
        var closed = Course()
        closed.state.broke()
        for course in courses() + [closed] {
            var (late, isReading) = (course, course.state.isReading)
            late.log = []
            if !isReading {
                late.receiveHead()
                late.refuse()
                late.complete()
                late.receiveBody(1 << 20)
            } else {
                late.answer()
                late.write()
            }
            #expect(late.state.phase == course.state.phase && late.log.isEmpty)
        }
    }
}
