internal import Testing

@testable internal import Proxy

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
