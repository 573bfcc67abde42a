internal import Testing

@testable internal import Proxy
@testable internal import Reactor

@Suite struct `The marks of memory` {
    private let marks = MemoryMarks(ceiling: 1000)

    @Test(arguments: [(799, 0), (800, 1), (899, 1), (900, 2), (999, 2), (1000, 3), (5000, 3)])
    func `tell how near the ceiling is`(resident: Int, level: Int) {
        #expect(marks.level(resident: resident).rawValue == level)
    }

    @Test(arguments: [(0, 0), (799, 0), (800, 50), (899, 149), (900, 100), (1000, 200), (5000, 4200)])
    func `tell how much has to be given up`(resident: Int, excess: Int) {
        #expect(marks.excess(resident: resident) == excess)
    }
}

@Suite struct `A worker near the ceiling of memory` {
    private let start = MonotonicTime(nanoseconds: 60_000_000_000)

    @Test func `looks, searches and trims not before a pause is over`() {
        var pace = MemoryPace()
        #expect(pace.isLookDue(at: start) && pace.maySearch(at: start, .tight))
        pace.looked(at: start)
        pace.searched(at: start)
        #expect(!pace.isLookDue(at: start + .microseconds(4999)) && pace.isLookDue(at: start + .milliseconds(5)))
        #expect(!MemoryPace.isMuch(taken: 2_097_151) && MemoryPace.isMuch(taken: 2_097_152))
        let searches = [99, 100].map { pace.maySearch(at: start + .milliseconds($0), .tight) }
        #expect(searches == [false, true])
        let hasty = [4, 5].map { pace.maySearch(at: start + .milliseconds($0), .short) }
        #expect(hasty == [false, true])
        #expect(MemoryPace.trimPause(.tight) == .seconds(1) && MemoryPace.trimPause(.exhausted) == .milliseconds(20))
    }
}
