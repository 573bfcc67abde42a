import Testing

@testable import Control

@Suite struct `The log of refused addresses` {
    @Test func `says each once, in order`() {
        var log = RefusedAddressLog()
        #expect(log.new(of: ["b", "a"]) == ["a", "b"])
        #expect(log.new(of: ["a", "c", "b"]) == ["c"])
        #expect(log.new(of: []) == [])
    }

    @Test func `says a limited number, and once that there are more`() {
        var log = RefusedAddressLog()
        let many = Set((0..<RefusedAddressLog.most + 50).map { "address \($0)" })
        let said = log.new(of: many)
        #expect(said.count == RefusedAddressLog.most + 1)
        #expect(said.last?.hasPrefix("further addresses") == true)
        #expect(log.new(of: many) == [] && log.new(of: ["another"]) == [])
    }
}
