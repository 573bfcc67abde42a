import Testing

@testable import Proxy

@Suite struct `The queue of handshakes` {
    @Test func `gives the oldest first and forgets those that are over`() {
        var queue = HandshakeQueue()
        var inProgress: Set<UInt64> = []
        for token in 0..<100_000 as Range<UInt64> {
            queue.begin(token, keeping: inProgress.contains)
            inProgress.insert(token)
            // Every other one is done at once.
            if token % 2 == 1 || inProgress.count > 50 {
                inProgress.remove(token)
                queue.ended()
            }
        }
        #expect(queue.count == inProgress.count)
        var oldest: [UInt64] = []
        var looks = 0
        while let token = queue.popOldest() {
            looks += 1
            if inProgress.contains(token) { oldest.append(token) }
        }
        #expect(oldest == inProgress.sorted())
        #expect(looks <= 1100, "those that are over are kept")
    }
}
