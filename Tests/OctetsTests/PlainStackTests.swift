import Octets
import Testing

@Suite struct `A stack of plain values` {
    @Test func `gives back what was put on it, the newest first`() {
        var stack = PlainStack<Int>()
        defer { stack.free() }
        #expect(stack.isEmpty && stack.popLast() == nil)
        var expected: [Int] = []
        for round in 0..<500 {
            for value in 0..<(round % 23) {
                stack.append(round &* 31 &+ value)
                expected.append(round &* 31 &+ value)
            }
            for _ in 0..<(round % 19) {
                let value = stack.popLast()
                #expect(value == expected.popLast())
            }
            #expect(stack.count == expected.count && stack.isEmpty == expected.isEmpty)
        }
    }

    @Test func `is empty when it was freed, and can be used again`() {
        var stack = PlainStack<UInt8>()
        for value in 0..<9 as Range<UInt8> { stack.append(value) }
        stack.free()
        #expect(stack.isEmpty && stack.popLast() == nil)
        stack.append(7)
        #expect(stack.popLast() == 7)
        stack.free()
    }
}
