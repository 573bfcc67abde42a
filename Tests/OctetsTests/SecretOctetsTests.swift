import Testing

@testable import Octets

@Suite struct `Octets that are a secret` {
    @Test(arguments: ["", "x", "a text of some length"])
    func `are there until they are forgotten`(text: String) {
        let secret = SecretOctets(copying: Array(text.utf8))
        #expect(secret.withOctets { $0.string } == text)
        secret.forget()
        secret.forget()
        #expect(secret.withOctets { $0.string } == nil)
        #expect(secret.count == text.utf8.count && secret.isEmpty == text.isEmpty)
    }

    @Test func `are told from others by a digest, later too`() {
        let (first, second) = (SecretOctets(copying: [1, 2]), SecretOctets(copying: [3]))
        #expect(first.digest(\.array) == [1, 2])
        first.forget()
        second.forget()
        #expect(first.digest { _ in [] } == [1, 2])
        #expect(second.digest(\.array) == nil)
    }

    @Test func `may be asked one inside the other`() {
        let secret = SecretOctets(copying: [1])
        #expect(secret.withOctets { outer in secret.withOctets { $0 == outer } } == true)
        let inside = secret.withOctets { octets in
            secret.forget()
            return octets.array
        }
        #expect(inside == [1])    // overwritten after the call only
    }

    @Test func `are filled in place, to the room that there is`() {
        struct Fault: Error {}
        let made = unsafe SecretOctets(capacity: 8) { room in
            unsafe room[0] = 7
            return 1
        }
        #expect(made.withOctets(\.array) == [7])
        #expect(throws: Fault.self) { unsafe try SecretOctets(capacity: 0) { _ throws(Fault) in throw Fault() } }
    }
}

@Suite struct `An array` {
    @Test func `is overwritten`() {
        var octets: [UInt8] = [1, 2, 3]
        octets.wipe()
        #expect(octets == [0, 0, 0])
        var slice = [UInt8](repeating: 9, count: 4)[1...2]
        slice.wipe()
        #expect(slice == [0, 0])
        var none: [UInt8] = []
        none.wipe()
        #expect(none.isEmpty)
    }

    @Test func `grows by what is appended`() {
        var octets: [UInt8] = []
        let piece: [UInt8] = [1, 2, 3]
        for _ in 0..<1000 { unsafe piece.withUnsafeBufferPointer { unsafe octets.append(wiping: $0) } }
        #expect(octets.count == 3000 && octets.prefix(6) == [1, 2, 3, 1, 2, 3] && octets.suffix(3) == [1, 2, 3])
    }
}
