import Reactor
import Testing

@testable import Control

@Suite struct `The course of loads` {
    private var state = LoadState()
    private let limit = Duration.seconds(5)

    private func time(_ seconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: seconds * 1_000_000_000) }

    private mutating func want(_ extent: LoadExtent = .everything, isHeld: Bool = false) -> Int? {
        state.want(extent, isHeld: isHeld, at: time(1))?.number
    }

    private mutating func isOverdue(_ seconds: UInt64) -> Bool { state.isOverdue(at: time(seconds), limit: limit) }

    @Test mutating func `has one at a time, and makes one of everything that was asked for meanwhile`() {
        let asked = [want(), want(), want()]
        #expect(asked == [1, nil, nil])
        let ended = state.end()
        #expect(ended?.number == 1)
        let isWanted = [state.takeWanted(), state.takeWanted()]
        #expect(isWanted == [true, false])
        let next = want()
        #expect(next == 2)
    }

    @Test mutating func `does not keep in mind a load of the cluster, which asks again by itself`() {
        let asked = [want(.cluster), want(.cluster)]
        #expect(asked == [1, nil])
        _ = state.end()
        let isWanted = state.takeWanted()
        #expect(!isWanted)
    }

    @Test mutating func `waits for what holds it`() {
        let held = want(isHeld: true)
        #expect(held == nil && state.current == nil)
        let isWanted = state.takeWanted()
        let later = want()
        #expect(isWanted && later == 1)
    }

    @Test mutating func `answers a question by the load that began after it`() {
        _ = want()
        #expect(state.answering == 1)
        _ = want()
        #expect(state.answering == 2)
    }

    @Test mutating func `gives a load up once when it takes too long`() {
        let before = isOverdue(99)
        #expect(!before && state.deadline(limit: limit) == nil)
        _ = want(.cluster)
        #expect(state.deadline(limit: limit) == time(6))
        let found = [isOverdue(5), isOverdue(6), isOverdue(7)]
        #expect(found == [false, true, false])
        #expect(state.deadline(limit: limit) == nil)
        let ended = [state.end()?.isGivenUp, state.end()?.isGivenUp]
        #expect(ended == [true, nil])
    }
}
