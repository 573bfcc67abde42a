import Octets
import Testing

@testable import Kubernetes

@Suite struct `The watch of a Secret` {
    private let name = SecretName(namespace: "shop", name: "tls")
    private let object = #"{"metadata":{"namespace":"shop","name":"tls","resourceVersion":"3"}}"#

    private struct Scene {
        var watch: SecretWatch
        var now: Int64 = 1_000
        var actions: [WatchAction] = []

        init(_ name: SecretName) {
            watch = SecretWatch(name, timing: WatchTiming(), seed: 1)
            send(.begin)
        }

        mutating func send(_ input: WatchInput) {
            actions = watch.handle(input, at: Moment(wall: now, steady: now))
        }

        mutating func answer(_ status: Int, _ body: String = "") {
            if status == 200 { return send(.secretAnswer(SecretOctets(copying: body.utf8))) }
            send(.answer(APIAnswer(status: status, body: Array(body.utf8))))
        }

        mutating func line(_ text: String) { send(.secretLine(SecretOctets(copying: text.utf8))) }

        var events: [ResourceEvent] { actions.compactMap { if case .deliver(let event) = $0 { event } else { nil } } }
        var wait: Int? {
            for case .wait(let milliseconds) in actions { return milliseconds }
            return nil
        }
    }

    private func changed(_ object: String) -> ResourceEvent { .secretRead(name, SecretOctets(copying: object.utf8)) }
    private let get = WatchAction.get(
        path: "/api/v1/namespaces/shop/secrets/tls", accept: "application/json", isSecret: true)

    @Test func `reads it by its name, then watches it by its name`() {
        var scene = Scene(name)
        #expect(scene.actions == [get])
        scene.answer(200, object)
        #expect(scene.events == [changed(object), .secret(name, .current)])
        guard case .watch(let path, _, _, true)? = scene.actions.last else {
            Issue.record("no watch: \(scene.actions)")
            return
        }
        #expect(
            path.hasPrefix("/api/v1/namespaces/shop/secrets?watch=1&fieldSelector=metadata.name%3Dtls&timeoutSeconds="))
        scene.send(.opened)
        scene.line(#"{"type":"MODIFIED","object":\#(object)}"#)
        #expect(scene.events == [changed(object)])
        scene.line(#"{"type":"DELETED","object":\#(object)}"#)
        #expect(scene.events == [.removed(.secrets, namespace: "shop", name: "tls"), .secret(name, .absent)])
    }

    @Test func `takes no other Secret from a server that ignores the selector`() {
        var scene = Scene(name)
        scene.answer(404)
        #expect(scene.events == [.secret(name, .absent)])
        scene.send(.opened)
        scene.line(#"{"type":"ADDED","object":{"metadata":{"name":"other","resourceVersion":"4"}}}"#)
        #expect(scene.actions == [])
        scene.line(#"{"type":"ADDED","object":\#(object)}"#)
        #expect(scene.events == [changed(object), .secret(name, .current)])
    }

    @Test func `says that it may not be read, and reads it now and then where it may not be watched`() {
        var scene = Scene(name)
        scene.answer(403)
        let wanted = Permission(verb: "get", group: "", resource: "secrets", namespace: "shop", name: "tls")
        #expect(scene.events == [.secret(name, .refused(wanted))])
        #expect(wanted.description == #"verb "get" on resource "secrets" named "tls" in namespace "shop""#)
        scene.send(.timer)
        scene.answer(200, object)
        scene.answer(403)
        #expect((30_000...60_000).contains(scene.wait ?? 0))
        #expect(scene.actions.contains { if case .note(let text) = $0 { text.contains("\"watch\"") } else { false } })
        scene.send(.timer)
        #expect(scene.actions == [get])
        scene.answer(200, object)
        scene.answer(403)
        #expect(!scene.actions.contains { if case .note = $0 { true } else { false } })    // said once
    }

    @Test func `reads it again when its watch has ended, expired or broken`() {
        let expired = #"{"type":"ERROR","object":{"kind":"Status","code":410}}"#
        let last = WatchInput.secretLine(SecretOctets(copying: expired.utf8))
        for input in [.ended, .failed(.connectionLost("reset")), last] {
            var scene = Scene(name)
            scene.answer(200, object)
            scene.send(.opened)
            scene.now += 100_000
            scene.send(input)
            if scene.wait != nil { scene.send(.timer) }
            #expect(scene.actions == [get])
        }
    }

    @Test func `is read again when the watch does not begin with it, for it may be gone`() {
        var scene = Scene(name)
        scene.answer(200, object)
        guard case .watch(_, _, let silence, _)? = scene.actions.last else {
            Issue.record("no watch: \(scene.actions)")
            return
        }
        #expect(silence == WatchTiming().firstLine)
        scene.send(.opened)
        scene.now += 10_000
        scene.send(.failed(.timedOut))
        #expect(scene.actions == [.reached(.secretWatch), get])
        scene.answer(404)
        #expect(scene.events == [.removed(.secrets, namespace: "shop", name: "tls"), .secret(name, .absent)])
        // One that is not there need not come.
        guard case .watch(_, _, let later, _)? = scene.actions.last else {
            Issue.record("no watch: \(scene.actions)")
            return
        }
        #expect(later > 300_000)
    }

    @Test func `may be silent for long once its watch has begun with it`() {
        var scene = Scene(name)
        scene.answer(200, object)
        scene.send(.opened)
        scene.line(#"{"type":"ADDED","object":\#(object)}"#)
        guard case .allow(let silence)? = scene.actions.first else {
            Issue.record("no more time: \(scene.actions)")
            return
        }
        #expect(silence > 300_000 && scene.events == [changed(object)])
        scene.line(#"{"type":"MODIFIED","object":\#(object)}"#)
        #expect(scene.actions == [.deliver(changed(object))])
    }
}
