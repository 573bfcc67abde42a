import Reactor
import Testing

@testable import Control

@Suite struct `The pace of a cluster's loads` {
    private var pace = LoadPace()

    private func at(_ milliseconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: milliseconds * 1_000_000) }

    /// Whether a load is due at a time, when all kinds are known.
    private func isDue(_ milliseconds: UInt64) -> Bool { pace.isDue(at: at(milliseconds)) { true } }

    /// The first load begins and ends at once.
    private mutating func startUp() {
        _ = pace.loadBegan(at: at(0))
        pace.loadEnded(work: .zero, at: at(0))
    }

    @Test mutating func `waits for all kinds first, however long it takes and whatever changes`() {
        pace.changed(at: at(1))
        #expect(!pace.isDue(at: at(1_000_000)) { false } && pace.wait(at: at(2)) == -1)
        #expect(isDue(2))
        let isStormy = pace.loadBegan(at: at(2))
        #expect(!isStormy && !isDue(3), "a load is under way")
        #expect(pace.wait(at: at(3)) == -1)
    }

    @Test mutating func `is due 5 ms after the last change, and 20 ms after the first`() {
        startUp()
        #expect(!isDue(100) && pace.wait(at: at(100)) == -1)
        for change in stride(from: 100 as UInt64, through: 118, by: 3) { pace.changed(at: at(change)) }
        #expect(!isDue(119) && isDue(120))
        #expect(pace.wait(at: at(110)) == 11)
        _ = pace.loadBegan(at: at(120))
        pace.loadEnded(work: .zero, at: at(121))
        #expect(!isDue(200))
        pace.changed(at: at(200))
        #expect(!isDue(204) && isDue(205))
    }

    @Test mutating func `rests for as long as a load has worked, a second at most`() {
        startUp()
        _ = pace.loadBegan(at: at(0))
        pace.loadEnded(work: .milliseconds(400), at: at(500))
        pace.changed(at: at(501))
        #expect(!isDue(899) && isDue(900))
        _ = pace.loadBegan(at: at(900))
        pace.loadEnded(work: .seconds(7), at: at(8000))
        pace.changed(at: at(8001))
        #expect(!isDue(8999) && isDue(9000))
    }

    @Test mutating func `is of a storm within nine times the work of the last load, and yields then`() {
        startUp()
        let first = pace.loadBegan(at: at(0))
        pace.loadEnded(work: .milliseconds(10), at: at(20))
        let soon = pace.loadBegan(at: at(109))
        pace.loadEnded(work: .milliseconds(1), at: at(110))
        let later = pace.loadBegan(at: at(119))
        #expect(!first && soon && !later)
    }
}
