import Testing

@testable import TLS

@Suite struct `Octets that wait for a socket or for OpenSSL` {
    private func all(_ pending: PendingOctets) -> [UInt8] { unsafe Array(pending.octets) }

    private func keep(_ octets: [UInt8], in pending: inout PendingOctets) {
        unsafe octets.withUnsafeBytes { unsafe pending.append($0) }
    }

    @Test func `keep their order when more come and some go`() {
        var pending = PendingOctets()
        keep([1, 2, 3], in: &pending)
        pending.drop(2)
        keep([4, 5], in: &pending)
        #expect(all(pending) == [3, 4, 5] && pending.count == 3)
        pending.drop(3)
        #expect(pending.count == 0 && all(pending) == [])
        keep([], in: &pending)
        #expect(pending.count == 0)
        pending.clear()
    }

    @Test func `move as far as there is room, and the rest stays`() {
        var pending = PendingOctets()
        keep([1, 2, 3, 4, 5], in: &pending)
        let moved = unsafe [UInt8](unsafeUninitializedCapacity: 3) { room, count in
            let room = unsafe UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(room)[..<3])
            count = unsafe pending.move(into: room)
        }
        #expect(moved == [1, 2, 3] && all(pending) == [4, 5])
        pending.clear()
        #expect(pending.count == 0)
    }
}
