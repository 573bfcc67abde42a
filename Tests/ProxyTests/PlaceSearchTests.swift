import Testing

@testable import Proxy

/// What is given up for a client when all places are taken.
@Suite struct `The search for a place` {
    private var search = PlaceSearch()

    private mutating func foundNone(_ times: Int, at second: Int = 0) -> [Bool] {
        (0..<times).map { _ in
            search.foundNone(search.sacrifice(of: 1, hasOtherWorkers: true), of: 1, at: second)
        }
    }

    @Test mutating func `asks the other workers ten times for silent connections before an idle one is closed`() {
        #expect(search.sacrifice(of: 1, hasOtherWorkers: true) == .silent)
        let early = foundNone(9)
        #expect(search.sacrifice(of: 1, hasOtherWorkers: true) == .silent)
        let last = foundNone(1)
        #expect(!(early + last).contains(true), "warned, though idle ones were not looked at")
        #expect(search.sacrifice(of: 1, hasOtherWorkers: true) == .idle)
        #expect(search.sacrifice(of: 2, hasOtherWorkers: true) == .silent, "another listener has its own count")
    }

    @Test mutating func `begins anew when a client was accepted`() {
        _ = foundNone(10)
        search.accepted(on: 2)
        #expect(search.sacrifice(of: 1, hasOtherWorkers: true) == .idle)
        search.accepted(on: 1)
        #expect(search.sacrifice(of: 1, hasOtherWorkers: true) == .silent)
    }

    @Test func `closes an idle connection at once where no other worker is`() {
        #expect(search.sacrifice(of: 1, hasOtherWorkers: false) == .idle)
    }

    @Test mutating func `warns once a minute when nothing idle is left`() {
        _ = foundNone(10)
        let warnings = [foundNone(1, at: 5), foundNone(1, at: 6), foundNone(1, at: 64), foundNone(1, at: 65)]
        #expect(warnings == [[true], [false], [false], [true]])
    }
}
