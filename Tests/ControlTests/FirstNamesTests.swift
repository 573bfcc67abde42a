import Testing

@testable import Control
@testable import Reactor

@Suite struct `The names of the first load` {
    private let start = MonotonicTime(nanoseconds: 1_000_000_000)

    @Test func `are waited for five seconds, which run out once`() {
        var names = FirstNames()
        #expect(!names.hasRunOut(at: start + .seconds(100)) && !names.isWaiting(at: start))
        names.loaded(isSettled: false, at: start)
        #expect(FirstNames.longestWait == .seconds(5))
        let (last, end) = (start + .milliseconds(4999), start + .seconds(5))
        #expect(names.isWaiting(at: last) && !names.isWaiting(at: end) && !names.arePublished)
        let hasRunOut = [last, end, end + .seconds(1)].map { names.hasRunOut(at: $0) }
        #expect(hasRunOut == [false, true, false])
    }

    @Test func `are known when clusters have an answer for each, and stay known`() {
        var names = FirstNames()
        names.loaded(isSettled: false, at: start)
        names.published(isSettled: false)
        #expect(!names.arePublished)
        names.published(isSettled: true)
        names.published(isSettled: false)    // a later load has brought new ones
        #expect(names.arePublished)
        let hasRunOut = names.hasRunOut(at: start + .seconds(5))
        #expect(!hasRunOut)
    }

    @Test func `are known at once where there are none`() {
        var names = FirstNames()
        names.loaded(isSettled: true, at: start)
        #expect(names.arePublished && names.isWaiting(at: start))
    }
}
