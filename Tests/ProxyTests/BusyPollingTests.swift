import Testing

@testable import Proxy

@Suite struct `Asking for events before sleeping` {
    private static let short = BusyPolling.shortSleep
    private static let long = BusyPolling.shortSleep + 1

    private static func after(sleeps: [UInt64]) -> BusyPolling {
        var polling = BusyPolling()
        for sleep in sleeps { polling.slept(sleep) }
        return polling
    }

    @Test func `begins when sleeps are short, not before`() {
        #expect(!BusyPolling().isWorthwhile)
        #expect(!Self.after(sleeps: Array(repeating: Self.short, count: 7)).isWorthwhile)
        #expect(Self.after(sleeps: Array(repeating: Self.short, count: 8)).isWorthwhile)
        #expect(!Self.after(sleeps: Array(repeating: Self.long, count: 1000)).isWorthwhile)
    }

    @Test func `does not begin where one sleep of four is long`() {
        let turns = [Self.short, Self.short, Self.short, Self.long]
        #expect(!Self.after(sleeps: Array(repeating: turns, count: 1000).flatMap(\.self)).isWorthwhile)
    }

    @Test func `ends after a few times in vain, however often it was answered`() {
        var polling = Self.after(sleeps: Array(repeating: Self.short, count: 8))
        for _ in 0..<1000 { polling.hit() }
        var vain = 0
        while polling.isWorthwhile {
            polling.miss()
            vain += 1
        }
        #expect(vain == 3)
    }

    /// The price of being wrong: what comes just after each asking has ended.
    @Test func `is in vain for at most one wait of four at the worst`() {
        var polling = BusyPolling()
        var vain = 0
        for _ in 0..<1000 {
            if polling.isWorthwhile {
                polling.miss()
                vain += 1
            } else {
                polling.slept(Self.short)
            }
        }
        #expect(vain > 0 && vain <= 1000 / 4)
    }
}
