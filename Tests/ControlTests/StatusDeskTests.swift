import Manifests
import Testing

@testable import Control

/// A desk before a server that has some VirtualServices. The clock is moved by hand.
private struct Office {
    static let author = StatusAuthor(namespace: "istio-ingress", name: "portico")
    var desk: StatusDesk
    var now: Int64 = 0
    /// `status` of each object as JSON, its version and its generation.
    var status: [String: String] = [:]
    var versions: [String: Int] = [:]
    var generations: [String: Int] = [:]
    var writes: [StatusDesk.Write] = []
    var notes: [String] = []

    init(rate: Int = 10, most: Int = StatusDesk.mostObserved) {
        desk = StatusDesk(author: Self.author, instance: "pod-1", rate: rate, most: most)
    }

    static func reference(_ name: String) -> ObjectReference {
        ObjectReference(kind: "VirtualService", namespace: "shop", name: name)
    }

    func text(_ name: String) -> String {
        #"{"apiVersion":"networking.istio.io/v1beta1","kind":"VirtualService","metadata":{"namespace":"shop","#
            + #""name":"\#(name)","uid":"u","resourceVersion":"\#(versions[name] ?? 0)","#
            + #""generation":\#(generations[name] ?? 1)},"spec":{},"status":\#(status[name] ?? "{}")}"#
    }

    /// Somebody writes the object, and the watch says so.
    mutating func put(_ name: String, status: String? = nil, generation: Int? = nil) {
        if let status { self.status[name] = status }
        if let generation { generations[name] = generation }
        versions[name, default: 0] += 1
        tell(name)
    }

    mutating func tell(_ name: String) {
        guard let seen = ObservedObject(kind: "VirtualService", Array(text(name).utf8), author: Self.author) else {
            Issue.record("\(text(name)) cannot be read")
            return
        }
        desk.observe(seen)
    }

    static func verdict(
        _ name: String, _ status: String = "True", _ reason: String = "InEffect", generation: Int = 1,
        messages: [StatusMessage] = [], isWanted: Bool = true
    ) -> StatusVerdict {
        StatusVerdict(
            object: reference(name),
            own: OwnStatus(
                status: status, reason: reason, message: "words", generation: generation, messages: messages),
            isWanted: isWanted)
    }

    /// Takes the next write, without an answer.
    mutating func take() -> StatusDesk.Write? {
        guard case .write(let write) = desk.next(at: now, seconds: Int(now / 1000)) else { return nil }
        writes.append(write)
        return write
    }

    /// Answers all writes that are due within some seconds as a server does.
    mutating func work(seconds: Int64 = 60) {
        let end = now + seconds * 1000
        while now < end {
            switch desk.next(at: now, seconds: Int(now / 1000)) {
            case .idle: return notes += desk.takeNotes()
            case .wait(let milliseconds): now += Int64(milliseconds)
            case .write(let write):
                writes.append(write)
                desk.answered(write, .answer(status: 200, retryAfter: nil, body: accept(write)), at: now)
            }
            notes += desk.takeNotes()
        }
    }

    /// What a server makes of a patch whose fields replace those of the status.
    mutating func accept(_ write: StatusDesk.Write) -> [UInt8] {
        guard case .status(let object, _) = write.purpose else { return Array("{}".utf8) }
        let name = object.identity.name
        let patch = write.body.split(separator: #""status":"#, maxSplits: 1)[1].dropLast()
        status[name] = String(patch)
        versions[name, default: 0] += 1
        return Array(text(name).utf8)
    }

    var patches: [StatusDesk.Write] { writes.filter { $0.method == "PATCH" } }
    var posts: [StatusDesk.Write] { writes.filter { $0.method == "POST" } }
}

@Suite struct `The desk of the status` {
    @Test func `writes what was found once, and nothing that has not changed`() {
        var office = Office()
        office.put("a")
        office.desk.report([Office.verdict("a")])
        #expect(office.take() == nil, "only the leader writes")
        office.desk.lead(true)
        office.work()
        #expect(office.patches.count == 1 && office.posts.isEmpty)
        let patch = office.patches[0]
        #expect(patch.path == "/apis/networking.istio.io/v1beta1/namespaces/shop/virtualservices/a/status")
        #expect(patch.contentType == "application/merge-patch+json")
        #expect(
            patch.body == #"{"metadata":{"resourceVersion":"1"},"status":{"conditions":[{"#
                + #""type":"istio-ingress.portico/InEffect","status":"True","reason":"InEffect","message":"words","#
                + #""lastTransitionTime":"1970-01-01T00:00:00Z","observedGeneration":1}],"observedGeneration":1}}"#)
        office.tell("a")
        office.desk.report([Office.verdict("a")])
        office.desk.lead(false)
        office.desk.lead(true)
        office.work()
        #expect(office.patches.count == 1)
    }

    @Test func `keeps what others have written, and shares the generation`() {
        var office = Office()
        let theirs = #"{"type":"Reconciled","status":"True","x":[1,{"y":null}]}"#
        let message = #"{"level":"INFO","type":{"code":"IST0101","name":"n"}}"#
        office.put(
            "a",
            status: #"{"conditions":[\#(theirs)],"validationMessages":[\#(message)],"observedGeneration":"7"}"#,
            generation: 5)
        let own = StatusMessage(level: "ERROR", name: "unknown-field")
        office.desk.report([Office.verdict("a", "False", "PartlyInEffect", generation: 5, messages: [own])])
        office.desk.lead(true)
        office.work()
        let body = office.patches.first?.body ?? ""
        #expect(body.contains(#""conditions":[\#(theirs),{"type":"istio-ingress.portico/InEffect""#))
        #expect(
            body.contains(
                #""validationMessages":[\#(message),"#
                    + #"{"level":"ERROR","type":{"code":"istio-ingress.portico","name":"unknown-field"}}]"#))
        #expect(!body.contains(#"],"observedGeneration""#), "a newer one was seen by another writer")
    }

    @Test func `tells by an Event that a state has changed`() {
        var office = Office()
        office.put("a")
        office.put("b")
        office.desk.lead(true)
        office.desk.report([Office.verdict("a"), Office.verdict("b", "False", "NotInEffect")])
        office.work()
        #expect(office.posts.count == 1, "that all is well from the beginning is no news")
        office.desk.report([Office.verdict("a", "False", "NotInEffect"), Office.verdict("b")])
        office.work()
        #expect(office.posts.count == 3)
        let event = office.posts[0].body
        #expect(office.posts[0].path == "/api/v1/namespaces/shop/events")
        #expect(event.contains(#""type":"Warning""#) && event.contains(#""reason":"NotInEffect""#), "\(event)")
        #expect(office.posts.contains { $0.body.contains(#""type":"Normal""#) })
    }

    @Test func `keeps the time of the last transition`() {
        var office = Office()
        office.put("a")
        office.desk.lead(true)
        office.desk.report([Office.verdict("a")])
        office.work()
        office.now = 90_000
        office.desk.report([Office.verdict("a", "True", "InEffectWithWarnings")])
        office.work()
        #expect(office.patches.last?.body.contains("1970-01-01T00:00:00Z") == true)
        office.desk.report([Office.verdict("a", "False", "NotInEffect")])
        office.work()
        #expect(office.patches.last?.body.contains("1970-01-01T00:01:30Z") == true)
    }

    @Test func `leaves an object alone when another writer has changed it back twice`() {
        var office = Office()
        office.put("a")
        office.put("b")
        office.desk.lead(true)
        office.desk.report([Office.verdict("a"), Office.verdict("b")])
        office.work()
        for _ in 0..<5 {
            office.put("a", status: #"{"conditions":[]}"#)
            office.work()
        }
        #expect(office.patches.count { $0.path.contains("/a/") } == 2)
        #expect(office.notes.count == 1 && office.notes[0].contains("VirtualService shop/a: another writer"))
        #expect(office.desk.contested == [Office.reference("a")])
        office.desk.report([Office.verdict("a"), Office.verdict("b", "False", "NotInEffect")])
        office.work()
        #expect(office.patches.count { $0.path.contains("/b/") } == 2)
    }

    @Test func `does not take its own older versions for another writer`() {
        var office = Office()
        office.put("a")
        office.desk.lead(true)
        office.desk.report([Office.verdict("a")])
        office.work()
        office.put("a", generation: 2)
        office.desk.report([Office.verdict("a", generation: 2)])
        office.work()
        office.tell("a")
        office.put("a", status: office.status["a"])
        office.work()
        #expect(office.desk.contested.isEmpty && office.patches.count == 2)
    }

    @Test func `waits for the load of a newer version`() {
        var office = Office()
        office.put("a", generation: 3)
        office.desk.lead(true)
        office.desk.report([Office.verdict("a", generation: 2)])
        office.work()
        #expect(office.patches.isEmpty)
        office.desk.report([Office.verdict("a", generation: 3)])
        office.work()
        #expect(office.patches.count == 1)
    }

    @Test func `writes an object once, however often it has changed meanwhile`() {
        var office = Office()
        office.desk.lead(true)
        for _ in 0..<500 { for name in ["a", "b"] { office.put(name) } }
        for _ in 0..<20 { office.desk.report([Office.verdict("a"), Office.verdict("b")]) }
        office.work()
        #expect(office.patches.count == 2)
    }

    @Test func `knows a limited number of objects, says so once, and takes others when some are gone`() {
        var office = Office(most: 3)
        office.desk.lead(true)
        office.desk.report((0..<6).map { Office.verdict("v\($0)") })
        for number in 0..<5 { office.put("v\(number)") }
        office.put("v0")    // one that is known
        office.work()
        #expect(Set(office.patches.map(\.path)).count == 3 && office.desk.failures == 2)
        #expect(office.notes.count { $0.contains("the status of 3 objects is written") } == 1)
        office.desk.forget(Office.reference("v0"))
        office.put("v5")
        office.work()
        #expect(Set(office.patches.map(\.path)).count == 4 && office.desk.failures == 2)
    }

    @Test func `writes no faster than its rate`() {
        for rate in [1, 3, 300, 1000] {
            var office = Office(rate: rate)
            for number in 0..<50 { office.put("v\(number)") }
            office.desk.lead(true)
            office.desk.report((0..<50).map { Office.verdict("v\($0)") })
            office.work(seconds: 1)
            #expect(office.writes.count <= min(50, rate) + 1)
            office.work(seconds: 100)
            #expect(office.patches.count == 50)
        }
    }

    @Test func `waits for the newer version after a conflict, and forgets what is gone`() {
        var office = Office()
        office.put("a")
        office.put("b")
        office.desk.lead(true)
        office.desk.report([Office.verdict("a"), Office.verdict("b")])
        for status in [409, 404] {
            guard let write = office.take() else {
                Issue.record("nothing is written")
                return
            }
            office.desk.answered(write, .answer(status: status, retryAfter: nil, body: []), at: office.now)
            office.now += 1000
        }
        #expect(office.take() == nil)
        office.put("a")
        office.work()
        #expect(office.patches.count == 3 && office.patches.last?.body.contains(#""resourceVersion":"2""#) == true)
    }

    @Test func `tries again after a failure, later after a refusal, and names the permission once`() {
        var office = Office()
        office.put("a")
        office.desk.lead(true)
        office.desk.report([Office.verdict("a")])
        let outcomes: [(StatusDesk.Outcome, pause: Int64)] = [
            (.failed, 2_000), (.answer(status: 503, retryAfter: nil, body: []), 2_000),
            (.answer(status: 401, retryAfter: nil, body: []), 2_000),
            (.answer(status: 429, retryAfter: 9, body: []), 9_000),
            (.answer(status: 403, retryAfter: nil, body: []), 30_000),
            (.answer(status: 403, retryAfter: nil, body: []), 30_000),
        ]
        for (outcome, pause) in outcomes {
            guard let write = office.take() else {
                Issue.record("nothing is written")
                return
            }
            office.desk.answered(write, outcome, at: office.now)
            office.now += pause - 1
            #expect(office.take() == nil)
            office.now += 1
        }
        let notes = office.desk.takeNotes()
        let words = "verb \"patch\" on resource \"virtualservices/status.networking.istio.io\" in namespace \"shop\""
        #expect(notes.count == 1 && notes[0].contains(words), "\(notes)")
        office.work()
        #expect(office.patches.count == outcomes.count + 1 && office.desk.failures == 6 && office.desk.writes == 1)
    }

    @Test func `names a limited number of missing permissions`() {
        var desk = StatusDesk(author: Office.author, instance: "pod-1", rate: 10)
        let namespaces = (0..<StatusDesk.mostNamedPermissions + 20).map { "n\($0)" }
        desk.lead(true)
        for namespace in namespaces {
            let text =
                #"{"apiVersion":"networking.istio.io/v1","kind":"VirtualService","metadata":{"namespace":"#
                + #""\#(namespace)","name":"a","uid":"u","resourceVersion":"1","generation":1},"spec":{}}"#
            guard let seen = ObservedObject(kind: "VirtualService", Array(text.utf8), author: Office.author) else {
                Issue.record("\(text) cannot be read")
                return
            }
            desk.observe(seen)
        }
        desk.report(
            namespaces.map { namespace in
                StatusVerdict(
                    object: ObjectReference(kind: "VirtualService", namespace: namespace, name: "a"),
                    own: OwnStatus(status: "True", reason: "InEffect", message: "words", generation: 1, messages: []),
                    isWanted: true)
            })
        var (now, asked, notes): (Int64, Set<String>, [String]) = (0, [], [])
        for _ in 0..<3 * namespaces.count {
            if case .write(let write) = desk.next(at: now, seconds: Int(now / 1000)) {
                if case .status(let object, _) = write.purpose { asked.insert(object.identity.namespace) }
                desk.answered(write, .answer(status: 403, retryAfter: nil, body: []), at: now)
            }
            notes += desk.takeNotes()
            now += 30_000
        }
        #expect(asked.count == namespaces.count)
        #expect(notes.count == StatusDesk.mostNamedPermissions && Set(notes).count == notes.count)
    }

    @Test func `loses an Event that is refused, and writes the status all the same`() {
        var office = Office()
        office.put("a")
        office.put("b")
        office.desk.lead(true)
        office.desk.report([Office.verdict("a", "False", "NotInEffect"), Office.verdict("b", "False", "NotInEffect")])
        for status in [403, 422] {
            guard let patch = office.take() else {
                Issue.record("nothing is written")
                return
            }
            let octets = office.accept(patch)
            office.desk.answered(patch, .answer(status: 200, retryAfter: nil, body: octets), at: office.now)
            office.now += 1000
            guard let event = office.take() else {
                Issue.record("no Event is written")
                return
            }
            #expect(event.method == "POST")
            office.desk.answered(event, .answer(status: status, retryAfter: nil, body: []), at: office.now)
            office.now += 1000
        }
        #expect(office.take() == nil && office.patches.count == 2 && office.posts.count == 2)
        #expect(office.desk.lostEvents == StatusDesk.LostEvents(withLease: 0, refused: 2))
        #expect(office.desk.writes == 2 && office.desk.failures == 2)
        let notes = office.desk.takeNotes()
        #expect(notes.count == 1 && notes[0].contains(#"verb "create" on resource "events" in namespace "shop""#))
    }

    @Test(arguments: [true, false]) func `counts an Event that is lost with the Lease`(isUnderWay: Bool) {
        var office = Office()
        office.put("a")
        office.desk.lead(true)
        office.desk.report([Office.verdict("a", "False", "NotInEffect")])
        guard let patch = office.take() else {
            Issue.record("nothing is written")
            return
        }
        office.desk.answered(patch, .answer(status: 200, retryAfter: nil, body: office.accept(patch)), at: office.now)
        office.now += 1000
        let event = isUnderWay ? office.take() : nil
        office.desk.lead(false)
        if let event { office.desk.answered(event, .failed, at: office.now) }
        #expect(office.desk.lostEvents == StatusDesk.LostEvents(withLease: 1, refused: 0))
        office.now += 60_000
        office.desk.lead(true)
        office.work()
        #expect(office.posts.count == (isUnderWay ? 1 : 0), "an old Event is not written later")
    }

    /// A current server checks an object against the rules of its kind (CEL) at each write, that of a status too. The
    /// object may be older than the rules.
    /// Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/.
    @Test func `says once that a server's rules refuse a status, and goes on with the others`() {
        var office = Office()
        office.put("a")
        office.put("b")
        office.desk.lead(true)
        office.desk.report([Office.verdict("a"), Office.verdict("b")])
        guard let write = office.take() else {
            Issue.record("nothing is written")
            return
        }
        let body = #"{"kind":"Status","status":"Failure","reason":"Invalid","code":422}"#
        office.desk.answered(write, .answer(status: 422, retryAfter: nil, body: Array(body.utf8)), at: office.now)
        office.work(seconds: 600)
        #expect(office.patches.map { $0.path.contains("/a/") } == [true, false])
        #expect(office.notes == ["VirtualService shop/a: the server does not take its status: it answers 422"])
        #expect(office.desk.failures == 1 && office.desk.writes == 1)
        office.put("a", generation: 2)    // it was corrected
        office.desk.report([Office.verdict("a", generation: 2), Office.verdict("b")])
        office.work()
        #expect(office.patches.count == 3 && office.patches.last?.path.contains("/a/") == true)
    }

    @Test func `takes its own away from an object that concerns it no longer`() {
        var office = Office()
        office.put("a", status: #"{"conditions":[{"type":"X","status":"True"}]}"#)
        office.desk.lead(true)
        let own = StatusMessage(level: "WARNING", name: "never-reached")
        office.desk.report([Office.verdict("a", messages: [own])])
        office.work()
        office.desk.report([])
        office.work()
        #expect(
            office.patches.last?.body == #"{"metadata":{"resourceVersion":"2"},"status":{"#
                + #""conditions":[{"type":"X","status":"True"}],"validationMessages":null}}"#)
        office.work()
        #expect(office.patches.count == 2)
    }

    @Test func `says nothing of an object that only others need`() {
        var office = Office()
        office.put("a")
        office.desk.lead(true)
        office.desk.report([Office.verdict("a", isWanted: false)])
        office.work()
        #expect(office.patches.isEmpty)
    }

    @Test func `leaves a status of another form alone, and traps on none`() {
        let texts = [
            "", "null", "{}", #"{"metadata":{"name":"a"},"status":7}"#, #"{"metadata":{"name":"a"},"status":null}"#,
            #"{"metadata":{"name":"a"},"status":{"conditions":{}}}"#,
            #"{"metadata":{"name":"a"},"status":{"conditions":[7]}}"#,
            #"{"metadata":{"name":"a"},"status":{"conditions":[null,{"type":null}],"validationMessages":[{}]}}"#,
            #"{"metadata":{"name":"a","generation":-1},"status":{"observedGeneration":"x"}}"#,
        ]
        let read = texts.map { ObservedObject(kind: "Gateway", Array($0.utf8), author: Office.author) != nil }
        #expect(read == [false, false, false, false, true, false, false, false, true])
        var random: UInt64 = 3
        func draw(_ limit: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(random >> 33) % limit
        }
        var office = Office()
        office.put("a", status: #"{"conditions":[{"type":"istio-ingress.portico/InEffect","observedGeneration":"3"}]}"#)
        for _ in 0..<3_000 {
            var octets = Array(office.text("a").utf8)
            for _ in 0...draw(3) { octets[draw(octets.count)] = UInt8(draw(256)) }
            if let seen = ObservedObject(kind: "VirtualService", octets, author: Office.author) {
                var desk = StatusDesk(author: Office.author, instance: "i", rate: 1)
                desk.lead(true)
                desk.observe(seen)
                desk.report([Office.verdict("a", generation: 9)])
                _ = desk.next(at: 0, seconds: 0)
            }
        }
    }
}
