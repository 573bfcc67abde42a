import Testing

@testable import Kubernetes

/// A `ListWatch` with a clock that the test moves.
struct Play {
    var watch: ListWatch
    var now: Int64 = 1_000_000
    var actions: [WatchAction] = []

    init(
        _ kind: ResourceKind = .services, namespace: String? = nil, streams: Bool = false, timing: WatchTiming = .init()
    ) {
        watch = ListWatch(kind, namespace: namespace, timing: timing, seed: 1)
        watch.streamsLists = streams
        self.send(.begin)
    }

    mutating func send(_ input: WatchInput) {
        actions = watch.handle(input, at: Moment(wall: now, steady: now))
    }

    mutating func answer(_ status: Int, _ body: String = "", retryAfter: Int? = nil) {
        send(.answer(APIAnswer(status: status, retryAfter: retryAfter, body: Array(body.utf8))))
    }

    mutating func line(_ text: String) { send(.line(Array(text.utf8))) }

    /// Lists one page of no objects, and opens the watch.
    mutating func becomeCurrent(version: String = "10") {
        answer(200, #"{"metadata":{"resourceVersion":"\#(version)"},"items":[]}"#)
        send(.opened)
        now += 2_000
    }

    /// The path of the request that is wanted.
    var path: String? {
        for action in actions {
            switch action {
            case .get(let path, _, _): return path
            case .watch(let path, _, _, _): return path
            default: break
            }
        }
        return nil
    }
    var isWatch: Bool { actions.contains { if case .watch = $0 { true } else { false } } }
    var wait: Int? {
        for case .wait(let milliseconds) in actions { return milliseconds }
        return nil
    }
    var events: [ResourceEvent] {
        actions.compactMap { if case .deliver(let event) = $0 { event } else { nil } }
    }
    var state: ResourceState? {
        for case .state(_, _, let state) in events { return state }
        return nil
    }
    /// Objects of pages, as text.
    var pages: [(objects: [String], isFirst: Bool, isLast: Bool)] {
        events.compactMap {
            guard case .page(_, _, let objects, let isFirst, let isLast) = $0 else { return nil }
            return (objects.map { String(decoding: $0, as: UTF8.self) }, isFirst, isLast)
        }
    }
}

private let tooLarge = #"{"kind":"Status","message":"Timeout: Too large resource version: 9, current: 4","code":504}"#
private let expired = #"{"type":"ERROR","object":{"kind":"Status","metadata":{},"reason":"Expired","code":410}}"#

@Suite struct `A list with its watch` {
    @Test func `lists again when it is asked to, unless a list is on its way`() {
        var play = Play(.services)
        play.send(.listAgain)
        #expect(play.actions.isEmpty, "the first list is under way")
        play.becomeCurrent()
        play.send(.listAgain)
        #expect(play.actions.first == .abandon && play.path == "/api/v1/services?limit=500")
        play.send(.listAgain)
        #expect(play.actions.isEmpty)
        play.becomeCurrent(version: "20")
        #expect(play.watch.resourceVersion == "20" && play.watch.phase == .watching)
        // A watch that is about to begin again begins with a list.
        play.send(.failed(.connectionLost("reset")))
        #expect(play.watch.phase == .waiting(.verify))
        play.send(.listAgain)
        #expect(play.actions.isEmpty)
        play.send(.timer)
        #expect(play.path == "/api/v1/services?limit=500" && !play.isWatch)
    }

    @Test func `lists in pages, watches from the last one's version, and delivers what changes`() {
        var play = Play(.services, namespace: "shop")
        #expect(play.path == "/api/v1/namespaces/shop/services?limit=500")
        play.answer(200, #"{"metadata":{"resourceVersion":"7","continue":"a=b/"},"items":[{"a":1},{"b":2}]}"#)
        #expect(play.pages.map(\.objects) == [[#"{"a":1}"#, #"{"b":2}"#]])
        #expect(play.pages.map(\.isFirst) == [true])
        #expect(play.pages.map(\.isLast) == [false])
        #expect(play.path == "/api/v1/namespaces/shop/services?limit=500&continue=a%3Db%2F")
        play.answer(200, #"{"metadata":{"resourceVersion":"8"},"items":[{"c":3}]}"#)
        #expect(play.pages.map(\.isFirst) == [false])
        #expect(play.pages.map(\.isLast) == [true])
        #expect(play.isWatch)
        #expect(
            play.path?.hasPrefix("/api/v1/namespaces/shop/services?watch=1&allowWatchBookmarks=true&resourceVersion=8&")
                == true)
        #expect(play.state == nil)
        play.send(.opened)
        #expect(play.state == .current)
        play.line(#"{"type":"ADDED","object":{"metadata":{"name":"n","resourceVersion":"9"},"x":null}}"#)
        #expect(
            play.events
                == [.changed(.services, Array(#"{"metadata":{"name":"n","resourceVersion":"9"},"x":null}"#.utf8))])
        play.line(#"{"type":"DELETED","object":{"metadata":{"namespace":"s","name":"n","resourceVersion":"11"}}}"#)
        #expect(play.events == [.removed(.services, namespace: "s", name: "n")])
        #expect(play.watch.resourceVersion == "11")
    }

    @Test func `goes on from the last event, or bookmark, when the server ends the watch`() {
        var play = Play()
        play.becomeCurrent()
        play.line(#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"40"},"endpoints":null}}"#)
        #expect(play.actions == [])
        play.now += 60_000
        play.send(.ended)
        #expect(play.isWatch)
        #expect(play.path?.contains("resourceVersion=40&") == true)
        // Nothing came of this one: the version may be one that the server has yet to reach.
        play.send(.opened)
        play.now += 60_000
        play.send(.ended)
        #expect(play.path == "/api/v1/services?limit=1&resourceVersion=40&resourceVersionMatch=NotOlderThan")
        play.answer(200, #"{"metadata":{"resourceVersion":"41"},"items":[]}"#)
        #expect(play.isWatch)
        #expect(play.pages.isEmpty)
    }

    @Test func `waits when the server ends its watches at once`() {
        var play = Play()
        play.becomeCurrent()
        for round in 0..<3 {
            // The watch of `becomeCurrent` is two seconds old; the others are not.
            play.send(.ended)
            guard round > 0 else {
                play.answer(200)    // the question for the version
                play.send(.opened)
                continue
            }
            #expect(play.wait != nil)
            #expect(round < 2 || play.state != nil)    // the second time it is worth a word
            play.send(.timer)
            play.answer(200)
            play.send(.opened)
        }
    }

    @Test func `lists anew without a version when the watch has expired, in both forms`() {
        var play = Play()
        play.becomeCurrent()
        play.line(expired)
        #expect(play.actions.first == .abandon)
        #expect(play.path == "/api/v1/services?limit=500")
        play.answer(200, #"{"metadata":{"resourceVersion":"20"},"items":[]}"#)
        play.answer(410)
        // The second time in a row it waits first.
        #expect(play.wait != nil)
        play.send(.timer)
        #expect(play.path == "/api/v1/services?limit=500")
    }

    @Test func `begins a list anew whose next page has expired, and takes the whole at last`() {
        var play = Play()
        for _ in 0..<2 {
            play.answer(200, #"{"metadata":{"resourceVersion":"7","continue":"t"},"items":[{"a":1}]}"#)
            play.answer(410, #"{"code":410,"reason":"Expired","metadata":{"continue":"other"}}"#)
            play.send(.timer)
        }
        #expect(play.path == "/api/v1/services")
        play.answer(200, #"{"metadata":{"resourceVersion":"9"},"items":[{"a":1}]}"#)
        #expect(play.pages.map(\.isFirst) == [true])
        #expect(play.pages.map(\.isLast) == [true])
        #expect(play.isWatch)
    }

    @Test func `asks whether the version still exists when the connection was lost, and lists when it does not`() {
        var play = Play()
        play.becomeCurrent(version: "9")
        play.send(.failed(.connectionLost("reset")))
        #expect(play.state == nil)    // not worth a word yet
        play.send(.timer)
        #expect(play.path == "/api/v1/services?limit=1&resourceVersion=9&resourceVersionMatch=NotOlderThan")
        play.answer(504, tooLarge, retryAfter: 1)
        #expect(play.path == "/api/v1/services?limit=500")
        #expect(play.wait == nil)
    }

    @Test func `reports that the server is away, since when, each reason once, and that it is back`() {
        var play = Play()
        play.becomeCurrent()
        play.send(.failed(.connectionLost("reset")))
        play.now += 10
        play.send(.timer)
        play.send(.unreachable(reason: "refused"))
        #expect(play.state == .unreachable(since: play.now - 10, reason: "refused"))
        play.send(.unreachable(reason: "refused"))
        #expect(play.state == nil)
        play.send(.unreachable(reason: "another"))
        #expect(play.state == .unreachable(since: play.now - 10, reason: "another"))
        play.answer(200, #"{"metadata":{"resourceVersion":"41"},"items":[]}"#)
        play.send(.opened)
        #expect(play.state == .current)
    }

    @Test func `waits longer with each failure, up to a limit, and as long as Retry-After says`() {
        var play = Play()
        var waits: [Int] = []
        for _ in 0..<12 {
            play.answer(500)
            waits.append(play.wait ?? 0)
            play.send(.timer)
        }
        #expect((250...500).contains(waits[0]))
        #expect((500...1000).contains(waits[1]))
        #expect((15_000...30_000).contains(waits[11]))
        #expect(Set(waits.suffix(5)).count > 1)
        play.answer(429, retryAfter: 90)
        #expect((90_000...121_000).contains(play.wait ?? 0) && !play.actions.contains(.reached(.retryAfter)))
        play.send(.timer)
        play.answer(429, retryAfter: .max)
        #expect((300_000...331_000).contains(play.wait ?? 0) && play.actions.contains(.reached(.retryAfter)))
    }

    @Test func `says which permission is missing, and tries again`() {
        var play = Play(.virtualServices, namespace: "shop")
        play.answer(403)    // discovery may be refused, too: versions are tried
        #expect(play.path == "/apis/networking.istio.io/v1/namespaces/shop/virtualservices?limit=500")
        play.answer(403)
        let list = Permission(
            verb: "list", group: "networking.istio.io", resource: "virtualservices", namespace: "shop")
        #expect(play.state == .refused(list))
        #expect(
            list.description == #"verb "list" on resource "virtualservices.networking.istio.io" in namespace "shop""#)
        #expect((2_500...5_000).contains(play.wait ?? 0))
        play.send(.timer)
        play.answer(200, #"{"metadata":{"resourceVersion":"5"},"items":[]}"#)
        play.answer(403)
        let watch = Permission(
            verb: "watch", group: "networking.istio.io", resource: "virtualservices", namespace: "shop")
        #expect(play.state == .refused(watch))
        play.send(.timer)
        #expect(play.path?.hasSuffix("virtualservices?limit=500") == true)    // instead of the watch
    }

    @Test func `takes new credentials when the server does not know the old ones`() {
        var play = Play()
        play.answer(401)
        #expect(play.actions.first == .renewCredentials)
        #expect(play.wait != nil)
    }

    @Test func `lists in smaller pages when an answer is too large`() {
        var play = Play()
        play.send(.failed(.tooLarge))
        #expect(play.path == "/api/v1/services?limit=125")
        for _ in 0..<4 { play.send(.failed(.tooLarge)) }
        #expect(play.wait != nil)    // a single object is too large
    }

    @Test func `gives up a list that never ends`() {
        let page = { (token: String, items: String) in
            #"{"metadata":{"resourceVersion":"7","continue":"\#(token)"},"items":[\#(items)]}"#
        }
        var same = Play()    // the same place again
        same.answer(200, page("t", "{}"))
        same.answer(200, page("t", "{}"))
        #expect(same.wait != nil && same.pages.isEmpty && same.actions.contains(.reached(.endlessList)))
        var empty = Play()
        for number in 1...ListWatch.mostEmptyPages {
            #expect(empty.wait == nil)
            empty.answer(200, page("\(number)", ""))
        }
        #expect(empty.wait != nil && empty.actions.contains(.reached(.endlessList)))
        empty.send(.timer)
        empty.answer(200, page("1", ""))
        #expect(empty.wait == nil)    // it is counted anew
        let many = Array(repeating: "{}", count: ListWatch.mostObjects).joined(separator: ",")
        var large = Play()
        large.answer(200, page("1", many))
        #expect(large.wait == nil)
        large.answer(200, page("2", "{}"))
        #expect(large.wait != nil && large.actions.contains(.reached(.endlessList)))
    }

    @Test func `goes on where one object of a list or a watch is faulty`() {
        let deep = String(repeating: "[", count: 5000) + String(repeating: "]", count: 5000)
        let faulty = [deep, "\"\u{1}\"", "1e99999999", "nonsense", #"{"a":1,"a":"\ud800"}"#]
        for value in faulty {
            let object = #"{"spec":\#(value),"metadata":{"name":"n","resourceVersion":"11"}}"#
            var play = Play()
            play.answer(200, #"{"metadata":{"resourceVersion":"10"},"items":[{"a":1},\#(object),{"b":2}]}"#)
            #expect(play.pages.map(\.objects) == [[#"{"a":1}"#, object, #"{"b":2}"#]])
            play.send(.opened)
            play.line(#"{"type":"MODIFIED","object":\#(object)}"#)
            #expect(play.events == [.changed(.services, Array(object.utf8))])
        }
    }

    @Test func `takes a bookmark that goes back as it comes`() {
        var play = Play()
        play.becomeCurrent(version: "90")
        for version in ["40", "95", "40", "x", "18446744073709551616"] {
            play.line(#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"\#(version)"}}}"#)
            #expect(play.actions == [] && play.watch.resourceVersion == version)
        }
        play.now += 60_000
        play.send(.ended)
        #expect(play.path?.contains("resourceVersion=18446744073709551616&") == true)
    }

    @Test func `does not trust what it cannot read`() {
        for garbage in ["", "null", "{", #"{"items":[]}"#, #"{"metadata":{"resourceVersion":"1"}}"#, "[]"] {
            var play = Play()
            play.answer(200, garbage)
            #expect(play.wait != nil, "\(garbage)")
            #expect(play.pages.isEmpty)
        }
        for garbage in [
            "x", "{}", #"{"type":"ADDED","object":{}}"#,
            #"{"type":"NEW","object":{"metadata":{"resourceVersion":"1"}}}"#,
            #"{"type":"ADDED","object":{"metadata":{"name":"n"}}}"#, #"{"type":"ADDED","object":null}"#,
        ] {
            var play = Play()
            play.becomeCurrent()
            play.line(garbage)
            #expect(play.actions.first == .abandon, "\(garbage)")
            #expect(play.events.isEmpty)
            play.send(.timer)
            #expect(play.path == "/api/v1/services?limit=500")    // what the line was to say is lost
        }
    }
}

@Suite struct `The version of a kind` {
    private let group = #"{"versions":[{"version":"v1alpha3"},{"version":"v1beta1"}]}"#

    @Test func `is the best that the server offers for this kind`() {
        var play = Play(.gateways)
        #expect(play.path == "/apis/networking.istio.io")
        play.answer(200, group)
        #expect(play.path == "/apis/networking.istio.io/v1beta1")
        play.answer(200, #"{"resources":[{"name":"virtualservices"}]}"#)
        #expect(play.path == "/apis/networking.istio.io/v1alpha3")
        play.answer(200, #"{"resources":[{"name":"gateways"},{"name":"gateways/status"}]}"#)
        #expect(play.path == "/apis/networking.istio.io/v1alpha3/gateways?limit=500")
    }

    @Test func `is looked for again when there is none`() {
        for absent in [404, 200] {
            var play = Play(.gateways)
            play.answer(absent, #"{"versions":[{"version":"v9"}]}"#)
            #expect(play.state == .absent)
            #expect((15_000...30_000).contains(play.wait ?? 0))
            play.send(.timer)
            #expect(play.path == "/apis/networking.istio.io")
        }
    }

    @Test func `is found anew when the path is gone, and a loss is believed the second time only`() {
        var play = Play(.gateways)
        play.answer(200, group)
        play.answer(200, #"{"resources":[{"name":"gateways"}]}"#)
        play.answer(200, #"{"metadata":{"resourceVersion":"5"},"items":[{"a":1}]}"#)
        play.send(.opened)
        play.now += 70_000
        play.send(.ended)
        play.answer(404)    // to the question for the version
        #expect(play.path == "/apis/networking.istio.io")
        play.answer(404)
        #expect(
            play.state
                == .unreachable(
                    since: play.now, reason: "the server does not offer gateways.networking.istio.io at the moment"))
        #expect(play.pages.isEmpty)
        play.send(.timer)
        play.answer(404)
        #expect(play.pages.map(\.objects) == [[]])
        #expect(play.state == .absent)
    }

    @Test func `does not go round between discovery and a path that is not there`() {
        var play = Play(.gateways)
        play.answer(200, group)
        play.answer(200, #"{"resources":[{"name":"gateways"}]}"#)
        play.answer(404)
        #expect(play.state == .absent)
        #expect(play.wait != nil)
    }
}

@Suite struct `A streamed list` {
    private func event(_ number: Int, type: String = "ADDED") -> String {
        #"{"type":"\#(type)","object":{"metadata":{"namespace":"s","name":"n\#(number)","#
            + #""resourceVersion":"\#(number)"}}}"#
    }
    private let end =
        #"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"900","annotations":"#
        + #"{"k8s.io/initial-events-end":"true"}}}}"#

    @Test func `comes in pages until its bookmark, and goes on as the watch`() {
        var play = Play(.pods, streams: true)
        #expect(play.isWatch)
        #expect(play.path?.contains("sendInitialEvents=true&resourceVersionMatch=NotOlderThan") == true)
        play.send(.opened)
        #expect(play.state == nil)
        for number in 1...501 {
            play.line(event(number))
            #expect(play.pages.count == (number == 500 ? 1 : 0))
        }
        play.line(#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"2"}}}"#)
        #expect(play.actions == [])
        play.line(end)
        #expect(play.pages.map(\.objects.count) == [1])
        #expect(play.pages.map(\.isFirst) == [false])
        #expect(play.pages.map(\.isLast) == [true])
        #expect(play.state == .current)
        play.line(event(901, type: "DELETED"))
        #expect(play.events == [.removed(.pods, namespace: "s", name: "n901")])
        play.now += 60_000
        play.send(.ended)
        #expect(play.path?.contains("&resourceVersion=901&") == true)
    }

    @Test func `is given up for pages where the server knows nothing of it`() {
        for status in [400, 422, 403, 406] {
            var play = Play(.pods, streams: true)
            play.answer(status)
            #expect(play.path == "/api/v1/pods?limit=500")
        }
        var silent = Play(.pods, streams: true)
        silent.send(.opened)
        silent.line(event(1))
        silent.send(.failed(.timedOut))
        #expect(silent.path == "/api/v1/pods?limit=500")
        var refused = Play(.pods, streams: true)
        refused.send(.opened)
        refused.line(#"{"type":"ERROR","object":{"kind":"Status","code":400,"message":"no"}}"#)
        refused.send(.timer)
        #expect(refused.path == "/api/v1/pods?limit=500")
    }

    @Test func `begins anew when it was broken off`() {
        var play = Play(.pods, streams: true)
        play.send(.opened)
        for number in 1...500 { play.line(event(number)) }
        play.send(.failed(.connectionLost("reset")))
        play.send(.timer)
        #expect(play.path?.contains("sendInitialEvents") == true)
        play.send(.opened)
        play.line(end)
        #expect(play.pages.map(\.isFirst) == [true])
        #expect(play.pages.map(\.objects) == [[]])
    }
}
