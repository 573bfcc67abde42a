import Testing

@testable import HTTP

@Suite struct `A list of what a session notes in a turn` {
    @Test func `keeps its order however long it grows`() {
        let pools = MessagePools()
        var list = TurnList<Int>()
        for number in 0..<10_000 { list.append(number, from: pools) }
        #expect(list.elementsEqual(0..<10_000))
        list.replace(at: 9999, with: -1)
        #expect(list[9999] == -1)
        list.clear(to: pools)
        #expect(list.isEmpty)
    }

    /// Odd sizes do not divide a piece of memory.
    @Test func `has no element beyond its memory`() {
        let pools = MessagePools()
        var list = TurnList<(UInt64, UInt64, UInt64, UInt64, UInt64)>()
        for number in 0..<1000 { list.append((UInt64(number), 1, 2, 3, 4), from: pools) }
        #expect(list.enumerated().allSatisfy { $0.offset == Int($0.element.0) && $0.element.4 == 4 })
        list.clear(to: pools)
    }

    @Test func `begins with little memory, and takes much more when that is full`() {
        let sizes = (0..<5).reduce(into: [0]) { sizes, _ in
            sizes.append(MessagePools.turnMemory(after: sizes.last ?? 0))
        }
        #expect(sizes == [0, 1024, 16_384, 32_768, 65_536, 131_072])
    }

    @Test func `goes on when spare memory was given back`() {
        let pools = MessagePools()
        var list = TurnList<Int>()
        list.append(1, from: pools)
        list.clear(to: pools)
        list.append(2, from: pools)
        pools.freeSpare()
        list.append(3, from: pools)
        #expect(list.elementsEqual([2, 3]))
        list.clear(to: pools)
        pools.freeSpare()
        list.append(4, from: pools)
        #expect(list.elementsEqual([4]))
        list.clear(to: pools)
    }

    #if !PORTICO_UNPOOLED
        /// Memory that is new each time is a page that the kernel has to find and to clear, for each connection.
        @Test(arguments: [1, 100])
        func `has its memory again in the next turn, also when a thousand sessions note something`(length: Int) {
            let pools = MessagePools()
            let sessions = length == 1 ? 1000 : 64    // few have much to note
            var lists = Array(repeating: TurnList<Int>(), count: sessions)
            func turn() -> Set<UnsafeMutablePointer<Int>?> {
                for index in lists.indices {
                    for number in 0..<2 * length { lists[index].append(number, from: pools) }
                }
                let pieces = unsafe Set(lists.map { unsafe $0.base })
                for index in lists.indices { lists[index].clear(to: pools) }
                return unsafe pieces
            }
            let first = unsafe turn()
            #expect(unsafe first.count == sessions)
            #expect(unsafe turn() == first)
        }
    #endif
}
