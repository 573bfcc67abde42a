import Reactor
import Testing

@testable import Kubernetes

/// How far a connection to the API server comes, without one.
@Suite struct `The course of a connection to the API server` {
    private typealias State = APIConnectionState

    private let timing = WatchTiming()
    private let began: Int64 = 5_000    // milliseconds
    private let address = SocketAddress(host: "10.0.0.1", port: 443) ?? SocketAddress(host: "::1", port: 443)

    private func connecting() throws -> State {
        State(address: try #require(address), timing: timing, at: began)
    }

    private func shaking() throws -> State {
        var state = try connecting()
        #expect(state.connected(nil) == [])
        return state
    }

    private func open() throws -> State {
        var state = try shaking()
        #expect(state.shookHands(.done(isHTTP2: true), at: began + 100) == [.announce])
        return state
    }

    private func closed() throws -> State {
        var state = try open()
        #expect(state.close() == [.shutDown])
        return state
    }

    @Test func `goes through both handshakes`() throws {
        var state = try connecting()
        #expect(state.phase == .connecting && !state.takesRequests && !state.wasOpened)
        _ = state.connected(nil)
        #expect(state.phase == .shakingHands && !state.isOpen)
        #expect(state.shookHands(.unfinished, at: began) == [] && state.phase == .shakingHands)
        #expect(state.shookHands(.done(isHTTP2: true), at: began + 7) == [.announce])
        #expect(state.phase == .open(State.Facts(life: .heard(at: began + 7))))
        #expect(state.isOpen && state.takesRequests && state.wasOpened && !state.hasAnswered)
    }

    @Test func `says why there is no connection`() throws {
        var refused = try connecting()
        let error = SystemError("connect to", on: "10.0.0.1:443", code: 111)
        #expect(refused.connected(error) == [.report("\(error)")])
        #expect(refused.isClosed && !refused.wasOpened)
        let ends: [(State.Handshake, String)] = [
            (.ended, "the server at 10.0.0.1:443 closed the connection during the TLS handshake"),
            (.failed("no"), "TLS with the server at 10.0.0.1:443: no"),
            (
                .done(isHTTP2: false),
                "the server at 10.0.0.1:443 does not speak HTTP/2, which this client needs (ALPN h2)"
            ),
        ]
        for (handshake, reason) in ends {
            var state = try shaking()
            #expect(state.shookHands(handshake, at: began) == [.report(reason)])
            #expect(state.phase == .closed(nil) && state.deadline == nil)
        }
    }

    @Test func `says once why it is over, and keeps what it was`() throws {
        let ends: [((inout State) -> [State.Action], String)] = [
            ({ $0.ended() }, "the server closed the connection"),
            ({ $0.broke("reset") }, "the connection to the server broke: reset"),
            ({ $0.violated("a frame is too large") }, "the server broke the protocol: a frame is too large"),
            ({ $0.violated(nil) }, "the server broke the protocol: it does not speak HTTP/2"),
        ]
        for (end, reason) in ends {
            var state = try open()
            state.sent(isSecret: true)
            state.answered()
            #expect(end(&state) == [.report(reason)])
            #expect(end(&state) == [] && state.close() == [])
            #expect(state.isClosed && !state.isOpen && !state.takesRequests)
            #expect(state.wasOpened && state.hasAnswered && state.hasSecrets && !state.isDraining)
        }
    }

    @Test func `ends without a word when its client closes it`() throws {
        for begin in [connecting, shaking, open] {
            var state = try begin()
            #expect(state.close() == [.shutDown])
            #expect(state.close() == [] && state.isClosed && state.deadline == nil)
        }
    }

    @Test func `is over when the handshakes take too long`() throws {
        for begin in [connecting, shaking] {
            var state = try begin()
            #expect(state.deadline == began + Int64(timing.connect))
            #expect(state.look(at: began + Int64(timing.connect) - 1) == [] && !state.isClosed)
            let actions = state.look(at: began + Int64(timing.connect))
            #expect(actions == [.report("the server at 10.0.0.1:443 did not answer within 10000 ms")])
            #expect(state.isClosed && !state.wasOpened)
        }
    }

    @Test func `asks a silent server for a sign of life, and is over without one`() throws {
        var state = try open()
        let heard = began + 1_000
        state.heard(at: heard)
        let asked = heard + Int64(timing.pingAfter)
        #expect(state.deadline == asked)
        #expect(state.look(at: asked - 1) == [])
        #expect(state.look(at: asked + 5) == [.ping])
        #expect(state.phase == .open(State.Facts(life: .asked(at: asked + 5, heardAt: heard))))
        let over = asked + 5 + Int64(timing.pong)
        #expect(state.deadline == over)
        #expect(state.look(at: over - 1) == [] && state.isOpen)
        let reason = "the server at 10.0.0.1:443 has been silent for \(over - heard) ms, and answers no PING"
        #expect(state.look(at: over) == [.report(reason)])
        #expect(state.wasOpened && state.look(at: over + 1) == [])
    }

    @Test func `goes on when the server answers the PING`() throws {
        var state = try open()
        let asked = try #require(state.deadline)
        #expect(state.look(at: asked) == [.ping])
        state.heard(at: asked + 3)
        #expect(state.deadline == asked + 3 + Int64(timing.pingAfter))
        #expect(state.look(at: asked + Int64(timing.pong)) == [] && state.isOpen)
    }

    @Test func `takes no request while it drains, and ends with the last stream`() throws {
        var state = try open()
        #expect(state.emptied(open: 0) == [], "another request may come")
        state.drain()
        #expect(state.isDraining && !state.takesRequests && state.isOpen)
        #expect(!state.hasRoom(isLasting: false, open: 0, allowed: 100))
        #expect(state.emptied(open: 1) == [])
        #expect(state.emptied(open: 0) == [.report("the server asked for another connection")])
        #expect(state.isClosed && state.isDraining)
    }

    @Test(arguments: [
        (false, 99, 100, true), (false, 100, 100, false), (true, 91, 100, true), (true, 92, 100, false),
        (true, 1, 4, true), (true, 2, 4, false), (true, 0, 1, true), (false, 0, 0, false), (true, 0, 0, false),
    ])
    func `keeps streams free for short requests`(isLasting: Bool, open: Int, allowed: Int, hasRoom: Bool) throws {
        #expect(try self.open().hasRoom(isLasting: isLasting, open: open, allowed: allowed) == hasRoom)
        #expect(try !connecting().hasRoom(isLasting: isLasting, open: open, allowed: allowed))
        #expect(try !closed().hasRoom(isLasting: isLasting, open: open, allowed: allowed))
    }

    @Test func `remembers whether an answer may be in its buffers that is confidential`() throws {
        var state = try open()
        state.sent(isSecret: false)
        #expect(!state.hasSecrets)
        state.sent(isSecret: true)
        state.sent(isSecret: false)
        #expect(state.hasSecrets)
    }

    @Test func `writes until the kernel takes no more, and again when it does`() throws {
        var state = try open()
        #expect(!state.isWriteBlocked)
        state.writeBlocked()
        #expect(state.isWriteBlocked && state.takesRequests)
        state.becameReady()
        #expect(!state.isWriteBlocked)
    }

    @Test func `does nothing with what comes in the wrong phase`() throws {
        for begin in [connecting, shaking, closed] {
            let before = try begin()
            var state = before
            state.heard(at: began + 9)
            state.answered()
            state.drain()
            state.sent(isSecret: true)
            if state.phase != .shakingHands { #expect(state.shookHands(.done(isHTTP2: true), at: began) == []) }
            if state.phase != .connecting { #expect(state.connected(nil) == []) }
            #expect(state == before)
        }
    }
}
