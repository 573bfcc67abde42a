import Reactor
import Testing

@testable import Control

@Suite struct `The course of loads` {
    private var state = LoadState()
    private let limit = Duration.seconds(5)

    private func time(_ seconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: seconds * 1_000_000_000) }

    @Test mutating func `has one at a time, and makes one of everything that was asked for meanwhile`() {
        let first = state.want(.everything, isHeld: false, at: time(1))
        #expect(first?.number == 1)
        #expect(state.want(.everything, isHeld: false, at: time(2)) == nil)
        #expect(state.want(.everything, isHeld: false, at: time(2)) == nil)
        #expect(state.end() == first)
        #expect(state.takeWanted() && !state.takeWanted())
        #expect(state.want(.everything, isHeld: false, at: time(3))?.number == 2)
    }

    @Test mutating func `does not keep in mind a load of the cluster, which asks again by itself`() {
        _ = state.want(.cluster, isHeld: false, at: time(1))
        #expect(state.want(.cluster, isHeld: false, at: time(2)) == nil)
        _ = state.end()
        #expect(!state.takeWanted())
    }

    @Test mutating func `waits for what holds it`() {
        #expect(state.want(.everything, isHeld: true, at: time(1)) == nil && state.current == nil)
        #expect(state.takeWanted())
        #expect(state.want(.everything, isHeld: false, at: time(1)) != nil)
    }

    @Test mutating func `answers a question by the load that began after it`() {
        _ = state.want(.everything, isHeld: false, at: time(1))
        #expect(state.answering == 1)
        _ = state.want(.everything, isHeld: false, at: time(1))
        #expect(state.answering == 2)
    }

    @Test mutating func `gives a load up once when it takes too long`() {
        #expect(state.deadline(limit: limit) == nil && !state.isOverdue(at: time(99), limit: limit))
        _ = state.want(.cluster, isHeld: false, at: time(1))
        #expect(state.deadline(limit: limit) == time(6))
        #expect(!state.isOverdue(at: time(5), limit: limit))
        #expect(state.isOverdue(at: time(6), limit: limit) && !state.isOverdue(at: time(7), limit: limit))
        #expect(state.deadline(limit: limit) == nil && state.end()?.isGivenUp == true)
        #expect(state.end() == nil)
    }
}
