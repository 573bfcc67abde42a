import Testing

@testable import Proxy

@Suite struct `The two flows of a relay` {
    private typealias Side = RelayState.Side

    @Test(arguments: [Side.downstream, .upstream])
    func `end apart, and the relay with the second`(first: RelayState.Side) {
        var state = RelayState()
        #expect(state.ended(first, hasWaiting: false) == .finish(first.other))
        #expect(state.ended(first, hasWaiting: false) == .nothing)
        #expect(state.flow(from: first.other) == .open && !state.isOver)
        #expect(state.ended(first.other, hasWaiting: false) == .end)
        #expect(state.isOver && state.brokenSide == nil)
    }

    @Test(arguments: [Side.downstream, .upstream])
    func `pass an end on behind the octets that wait before it`(side: RelayState.Side) {
        var state = RelayState()
        #expect(state.ended(side, hasWaiting: true) == .nothing)
        #expect(state.flow(from: side) == .ending)
        #expect(state.drained(towards: side) == .nothing)
        #expect(state.drained(towards: side.other) == .finish(side.other))
        #expect(state.drained(towards: side.other) == .nothing)
        #expect(state.ended(side.other, hasWaiting: true) == .nothing)
        #expect(state.drained(towards: side) == .end)
    }

    @Test(arguments: [Side.downstream, .upstream])
    func `give the other side what a broken one had sent, and no regular end`(side: RelayState.Side) {
        var state = RelayState()
        #expect(state.broke(side, hasWaiting: true) == .nothing)
        #expect(state.flow(from: side.other) == .over)
        #expect(state.drained(towards: side.other) == .end)
        #expect(state.brokenSide == side)
        var empty = RelayState()
        #expect(empty.broke(side, hasWaiting: false) == .end && empty.brokenSide == side)
    }

    @Test(arguments: [Side.downstream, .upstream])
    func `are over when a side is lost that has ended`(side: RelayState.Side) {
        var state = RelayState()
        #expect(state.ended(side, hasWaiting: false) == .finish(side.other))
        #expect(state.broke(side, hasWaiting: false) == .end && state.brokenSide == side)
    }

    @Test(arguments: [Side.downstream, .upstream])
    func `are over when all has gone of a side that has ended and is lost`(side: RelayState.Side) {
        var state = RelayState()
        #expect(state.ended(side, hasWaiting: true) == .nothing)
        #expect(state.broke(side, hasWaiting: true) == .nothing)
        #expect(state.drained(towards: side.other) == .end && state.brokenSide == side)
    }

    @Test(arguments: [Side.downstream, .upstream])
    func `go on from a side that takes nothing more`(side: RelayState.Side) {
        var state = RelayState()
        #expect(state.declined(side) == .nothing)
        #expect(state.flow(from: side) == .open && state.flow(from: side.other) == .over)
        #expect(state.ended(side, hasWaiting: false) == .end)
        #expect(state.brokenSide == side)
    }

    @Test func `begin when an endpoint has accepted, and are given up once`() {
        var state = RelayState()
        #expect(state.stage == .connecting)
        state.connected()
        #expect(state.stage == .passing)
        let ends = [state.end(), state.end()]
        #expect(ends == [true, false] && state.stage == .ended)
        state.connected()
        #expect(state.stage == .ended)
    }

    @Test(arguments: [Side.downstream, .upstream])
    func `are spliced apart while much comes, and never again when the kernel refuses`(side: RelayState.Side) {
        var state = RelayState()
        #expect(!state.isSpliced(from: side))
        state.splice(from: side, true)
        #expect(state.isSpliced(from: side) && !state.isSpliced(from: side.other))
        state.splice(from: side, false)
        #expect(!state.isSpliced(from: side))
        state.splice(from: side, true)
        state.refuseSplicing()
        for each in [side, side.other] {
            state.splice(from: each, true)
            #expect(!state.isSpliced(from: each))
        }
    }

    @Test func `count octets by their direction`() {
        var state = RelayState()
        state.came(from: .downstream, 3)
        state.came(from: .upstream, 40)
        state.came(from: .downstream, 4)
        #expect(state.received == 7 && state.sent == 40)
    }

    @Test func `try each endpoint once, and three at most`() {
        var state = RelayState()
        #expect(state.beginTry(ofEndpoint: 5) && !state.beginTry(ofEndpoint: 5))
        #expect(state.beginTry(ofEndpoint: 6) && state.beginTry(ofEndpoint: 7) && !state.beginTry(ofEndpoint: 8))
        #expect(state.tried == [5, 6, 7])
    }
}
