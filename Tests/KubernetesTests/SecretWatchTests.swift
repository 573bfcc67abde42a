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
            send(.answer(APIAnswer(status: status, body: Array(body.utf8))))
        }

        var events: [ResourceEvent] { actions.compactMap { if case .deliver(let event) = $0 { event } else { nil } } }
        var wait: Int? {
            for case .wait(let milliseconds) in actions { return milliseconds }
            return nil
        }
    }

    private func changed(_ object: String) -> ResourceEvent { .changed(.secrets, Array(object.utf8)) }

    @Test func `reads it by its name, then watches it by its name`() {
        var scene = Scene(name)
        #expect(scene.actions == [.get(path: "/api/v1/namespaces/shop/secrets/tls", accept: "application/json")])
        scene.answer(200, object)
        #expect(scene.events == [changed(object), .secret(name, .current)])
        guard case .watch(let path, _, _)? = scene.actions.last else {
            Issue.record("no watch: \(scene.actions)")
            return
        }
        #expect(
            path.hasPrefix("/api/v1/namespaces/shop/secrets?watch=1&fieldSelector=metadata.name%3Dtls&timeoutSeconds="))
        scene.send(.opened)
        scene.send(.line(Array(#"{"type":"MODIFIED","object":\#(object)}"#.utf8)))
        #expect(scene.events == [changed(object)])
        scene.send(.line(Array(#"{"type":"DELETED","object":\#(object)}"#.utf8)))
        #expect(scene.events == [.removed(.secrets, namespace: "shop", name: "tls"), .secret(name, .absent)])
    }

    @Test func `takes no other Secret from a server that ignores the selector`() {
        var scene = Scene(name)
        scene.answer(404)
        #expect(scene.events == [.secret(name, .absent)])
        scene.send(.opened)
        scene.send(.line(Array(#"{"type":"ADDED","object":{"metadata":{"name":"other","resourceVersion":"4"}}}"#.utf8)))
        #expect(scene.actions == [])
        scene.send(.line(Array(#"{"type":"ADDED","object":\#(object)}"#.utf8)))
        #expect(scene.events == [changed(object), .secret(name, .current)])
    }

    @Test func `says that it may not be read, and reads it now and then where it may not be watched`() {
        var scene = Scene(name)
        scene.answer(403)
        let get = Permission(verb: "get", group: "", resource: "secrets", namespace: "shop", name: "tls")
        #expect(scene.events == [.secret(name, .refused(get))])
        #expect(get.description == #"verb "get" on resource "secrets" named "tls" in namespace "shop""#)
        scene.send(.timer)
        scene.answer(200, object)
        scene.answer(403)
        #expect((30_000...60_000).contains(scene.wait ?? 0))
        #expect(scene.actions.contains { if case .note(let text) = $0 { text.contains("\"watch\"") } else { false } })
        scene.send(.timer)
        #expect(scene.actions == [.get(path: "/api/v1/namespaces/shop/secrets/tls", accept: "application/json")])
        scene.answer(200, object)
        scene.answer(403)
        #expect(!scene.actions.contains { if case .note = $0 { true } else { false } })    // said once
    }

    @Test func `reads it again when its watch has ended, expired or broken`() {
        let expired = #"{"type":"ERROR","object":{"kind":"Status","code":410}}"#
        for input in [WatchInput.ended, .failed(.connectionLost("reset")), .line(Array(expired.utf8))] {
            var scene = Scene(name)
            scene.answer(200, object)
            scene.send(.opened)
            scene.now += 100_000
            scene.send(input)
            if scene.wait != nil { scene.send(.timer) }
            #expect(scene.actions == [.get(path: "/api/v1/namespaces/shop/secrets/tls", accept: "application/json")])
        }
    }
}
