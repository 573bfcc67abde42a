import Reactor
import Testing

@testable import Kubernetes

/// How connections to the API server come about, without one.
@Suite struct `The way to a connection` {
    private var state: ConnectState
    private var now: Int64 = 100_000    // milliseconds of both clocks
    private let timing = WatchTiming()
    private let addresses = ["10.0.0.1", "10.0.0.2"].compactMap { SocketAddress(host: $0, port: 443) }

    init() { state = ConnectState(timing: timing, seed: 1) }

    private var moment: Moment { Moment(wall: now, steady: now) }

    /// Actions in words.
    private func words(_ actions: [ConnectState.Action]) -> [String] {
        actions.map { action in
            switch action {
            case .prepare(let known): known == nil ? "prepare anew" : "prepare keeping \(known?.bearer ?? "")"
            case .connect(let address): "connect \(address)"
            case .wait: "wait"
            case .drain: "drain"
            }
        }
    }

    private mutating func wants() -> [String] { words(state.wants(at: moment)) }

    private mutating func prepared(_ credential: PreparedCredential, hasRoom: Bool = false) -> [String] {
        words(state.prepared(.success((addresses, credential)), hasRoom: hasRoom, at: moment))
    }

    private mutating func fails(_ reason: String) -> [String] { words(state.failed(reason)) }

    /// The first connection is there.
    private mutating func open(_ credential: PreparedCredential = PreparedCredential(bearer: "t")) {
        _ = wants()
        _ = prepared(credential)
        state.opened()
        #expect(state.stage == .idle)
    }

    @Test mutating func `is prepared once, and leads to the first address`() {
        let actions = [wants(), wants(), prepared(PreparedCredential(bearer: "t"))]
        #expect(actions == [["prepare anew"], [], ["connect 10.0.0.1:443"]])
        #expect(state.credential?.bearer == "t")
        let during = wants()
        state.opened()
        let after = wants()
        #expect(during.isEmpty && after == ["prepare keeping t"])
    }

    @Test mutating func `tries all addresses, then waits, and says why once`() {
        _ = wants()
        _ = prepared(PreparedCredential())
        let actions = [fails("refused"), fails("timed out")]
        #expect(actions == [["connect 10.0.0.2:443"], ["wait"]] && state.stage == .waiting)
        let isReported = state.hasOutage
        let outages = [state.takeOutage(), state.takeOutage()]
        #expect(isReported && outages == ["timed out", nil])
        let early = wants()
        state.waited(for: .fake(443), hasRoom: false)
        let later = wants()
        #expect(early.isEmpty && later == ["prepare keeping "])
    }

    @Test mutating func `waits longer with each failure until the server answers`() {
        func wait(_ actions: [ConnectState.Action]) -> Int {
            if case .wait(let milliseconds)? = actions.last { milliseconds } else { -1 }
        }
        open()
        let first = wait(state.lostUnused("closed"))
        state.waited(for: .fake(443), hasRoom: false)
        let second = wait(state.lostUnused("closed"))
        state.waited(for: .fake(443), hasRoom: false)
        state.answered()
        let third = wait(state.lostUnused("closed"))
        let whileWaiting = state.lostUnused("closed").isEmpty
        #expect((250...500).contains(first) && (500...1000).contains(second) && (250...500).contains(third))
        #expect(whileWaiting)
    }

    @Test mutating func `goes on with credentials that are still valid when no new ones can be made`() {
        open(PreparedCredential(bearer: "t", expiresAt: now / 1000 + 100))
        now += 50_000
        let looks = words(state.look(at: moment) { _ in false })
        #expect(looks == ["prepare anew"], "they end within a minute")
        let fault = AccessError("the plugin failed")
        let actions = words(state.prepared(.failure(fault), hasRoom: true, at: moment))
        #expect(actions.isEmpty && state.stage == .idle && state.credential?.bearer == "t")
        now += 60_000
        _ = state.look(at: moment) { _ in false }
        let late = words(state.prepared(.failure(fault), hasRoom: true, at: moment))
        let outage = state.takeOutage()
        #expect(late == ["wait"] && outage == "the plugin failed", "they have ended")
    }

    @Test mutating func `looks at a token's file now and then, and reads it when it was replaced`() {
        open()
        var looks = 0
        func isReplaced(_ answer: Bool) -> (FileStamp?) -> Bool {
            { _ in
                looks += 1
                return answer
            }
        }
        _ = state.look(at: moment, isReplaced: isReplaced(true))
        #expect(looks == 0, "it was read just now")
        now += Int64(timing.tokenFile)
        _ = state.look(at: moment, isReplaced: isReplaced(false))
        _ = state.look(at: moment, isReplaced: isReplaced(false))
        #expect(looks == 1)
        now += Int64(timing.tokenFile)
        let actions = words(state.look(at: moment, isReplaced: isReplaced(true)))
        #expect(actions == ["prepare anew"])
        let renewed = prepared(PreparedCredential(bearer: "new"), hasRoom: true)
        #expect(renewed.isEmpty && state.credential?.bearer == "new" && state.stage == .idle)
    }

    @Test mutating func `makes refused credentials anew, and not all the time`() {
        open()
        let actions = [words(state.refused(at: moment)), words(state.refused(at: moment))]
        #expect(actions == [["prepare anew"], []] && state.credential == nil)
        _ = prepared(PreparedCredential(bearer: "b"), hasRoom: true)
        now += 1_000
        let soon = words(state.refused(at: moment))
        now += Int64(timing.tokenFile)
        let later = words(state.refused(at: moment))
        #expect(soon.isEmpty && later == ["prepare anew"])
    }

    @Test mutating func `shows a new certificate on a new connection`() throws {
        let identity = try FakeCertificates.shared.server
        open()
        _ = state.refused(at: moment)
        let renewed = prepared(PreparedCredential(identity: identity), hasRoom: true)
        #expect(renewed == ["drain", "connect 10.0.0.1:443"])
    }

    @Test mutating func `waits when the server's name has no address`() {
        _ = wants()
        let ready = (addresses: [SocketAddress](), credential: PreparedCredential())
        let actions = words(state.prepared(.success(ready), hasRoom: false, at: moment))
        let outage = state.takeOutage()
        #expect(actions == ["wait"] && outage == "the API server has no address")
    }
}
