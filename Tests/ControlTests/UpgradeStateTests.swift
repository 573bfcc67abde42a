import Reactor
import Testing

@testable import Control

/// One process takes the other's place, without processes.
@Suite struct `The course of an upgrade` {
    private let start = MonotonicTime(nanoseconds: 1_000_000_000_000)
    private var state = UpgradeState()

    /// One whose successor was started.
    private mutating func begin() {
        _ = state.wanted(obstacle: nil, isLoading: false)
        state.started(at: start, limit: .seconds(60))
    }

    @Test mutating func `goes word by word to its end`() {
        let first = state.wanted(obstacle: nil, isLoading: false)
        #expect(first == .start && !state.isUnderWay)
        state.started(at: start, limit: .seconds(60))
        #expect(state.isUnderWay)
        let silence = state.heard(.nothing, at: start)
        let ready = state.heard(.word(.ready), at: start)
        #expect(silence == .nothing && ready == .say(.go) && state.isUnderWay)
        let serving = state.heard(.word(.serving), at: start)
        #expect(serving == .handOver && state.isHandedOver && !state.isUnderWay)
    }

    @Test mutating func `is refused for an obstacle, also after a wait`() {
        let refused = state.wanted(obstacle: "no", isLoading: true)
        #expect(refused == .refuse("no") && !state.isWanted)
        _ = state.wanted(obstacle: nil, isLoading: true)
        let late = state.wanted(obstacle: "this process drains", isLoading: false)
        #expect(late == .refuse("this process drains") && !state.isWanted)
    }

    @Test mutating func `waits for the load that is under way, and goes on behind it`() {
        let wait = state.wanted(obstacle: nil, isLoading: true)
        #expect(wait == .wait && state.isWanted && !state.isUnderWay)
        let again = state.wanted(obstacle: nil, isLoading: false)
        #expect(again == .start && !state.isWanted)
    }

    @Test mutating func `is given up when its successor is not ready in time`() {
        begin()
        let before = state.look(at: start + .milliseconds(59_999))
        let after = state.look(at: start + .seconds(60))
        #expect(before == .nothing && after == .abandonLate && !state.isUnderWay)
        let later = state.look(at: start + .seconds(90))
        #expect(later == .nothing, "once")
    }

    @Test mutating func `is given up when its successor does not serve soon after it may`() {
        begin()
        _ = state.heard(.word(.ready), at: start + .seconds(59))
        let before = state.look(at: start + .milliseconds(68_999))
        let after = state.look(at: start + .seconds(69))
        #expect(before == .nothing && after == .abandonLate)
    }

    @Test mutating func `is given up when its successor speaks another language`() {
        begin()
        let step = state.heard(.word(.go), at: start)
        #expect(step == .abandon("it speaks another language") && !state.isUnderWay)
    }

    @Test mutating func `waits a moment for the end of a successor that has closed its connection`() {
        begin()
        let closed = state.heard(.ended, at: start)
        #expect(closed == .nothing && state.isUnderWay)
        let early = state.look(at: start + .milliseconds(499))
        let ended = state.processEnded()
        #expect(early == .nothing && ended == .abandon("it has ended") && !state.isUnderWay)
        begin()
        _ = state.heard(.ended, at: start)
        let late = state.look(at: start + UpgradeState.endTime)
        #expect(late == .abandon("it has closed its connection"))
    }

    @Test mutating func `does not make its time longer by closing the connection`() {
        begin()
        _ = state.heard(.ended, at: start + .milliseconds(59_900))
        let step = state.look(at: start + .seconds(60))
        #expect(step == .abandon("it has closed its connection"))
    }

    @Test mutating func `hears nothing of a successor that is given up`() {
        begin()
        state.abandoned()
        let (word, end, look) = (
            state.heard(.word(.serving), at: start), state.processEnded(), state.look(at: start + .seconds(90))
        )
        #expect(word == .nothing && end == .nothing && look == .nothing && !state.isHandedOver)
    }

    @Test mutating func `stays handed over, whatever is given up afterwards`() {
        begin()
        _ = state.heard(.word(.serving), at: start)
        state.abandoned()
        #expect(state.isHandedOver)
    }
}

@Suite struct `A successor's part of an upgrade` {
    private var state = SuccessorState()

    @Test mutating func `says once that it is ready, when it is`() {
        let early = state.look(isPrepared: false)
        let ready = state.look(isPrepared: true)
        let again = state.look(isPrepared: true)
        #expect(early == .nothing && ready == .sayReady && again == .nothing)
    }

    @Test mutating func `serves when it is asked to go`() {
        _ = state.look(isPrepared: true)
        let other = state.heard(.word(.serving))
        let silence = state.heard(.nothing)
        let go = state.heard(.word(.go))
        #expect(other == .nothing && silence == .nothing && go == .serve && !state.isPredecessorGone)
    }

    @Test(arguments: [true, false])
    mutating func `serves as soon as it can when its predecessor has ended`(hasSaidReady: Bool) {
        if hasSaidReady { _ = state.look(isPrepared: true) }
        let ended = state.heard(.ended)
        #expect(ended == .forget && state.isPredecessorGone)
        let early = state.look(isPrepared: false)
        let late = state.look(isPrepared: true)
        #expect(early == .nothing && late == .serve)
    }
}
