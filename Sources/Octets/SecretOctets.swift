internal import Glibc
internal import Synchronization

/// Octets that must not be found in memory later: a private key, or another value of a Secret. They have one place in
/// memory and are overwritten when their owner is freed or `forget` is called. Code that copies them wipes its copy.
///
/// Thread: any. Freed by: whoever has it last.
package final class SecretOctets: Sendable {
    private struct Contents {
        var memory: WipedMemory?
        var digest: [UInt8]?
    }

    private let contents: Lock<Contents>
    /// How many octets there are, or were before `forget`.
    package let count: Int
    /// Whether there were none from the beginning.
    package var isEmpty: Bool { count == 0 }

    /// Makes room for octets and lets `fill` write them.
    /// - Parameters:
    ///   - capacity: octets of room, 0 or more.
    ///   - fill: writes into the room, and returns how many octets it wrote.
    /// - Throws: what `fill` throws.
    package init<Failure: Error>(
        capacity: Int, fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Int
    ) throws(Failure) {
        let memory = WipedMemory(capacity: capacity)
        let count = unsafe try fill(memory.room)
        self.count = count
        contents = Lock(Contents(memory: memory))
    }

    /// Copies octets. The caller has to wipe the original.
    package convenience init(copying octets: some Collection<UInt8>) {
        unsafe self.init(capacity: octets.count) { room in
            var index = 0
            for octet in octets {
                unsafe room[index] = octet
                index += 1
            }
            return index
        }
    }

    /// Copies a run of octets. The caller has to wipe the original.
    package convenience init(copying octets: Octets) { unsafe self.init(copying: octets.buffer) }

    /// Copies octets, and overwrites the original, which must be the only owner of its memory.
    package convenience init(wiping octets: inout [UInt8]) {
        self.init(copying: octets)
        octets.wipe()
        octets = []
    }

    /// Overwrites the octets, as soon as no call of `withOctets` runs; later calls get no octets. A digest is kept.
    package func forget() { contents.withLock { $0.memory = nil } }

    /// Calls `body` with the octets, which must not outlive the call.
    /// - Returns: what `body` returns; nil when they are forgotten.
    package func withOctets<Result>(_ body: (Octets) -> Result) -> Result? {
        // Not under the lock: two owners may be asked one inside the other.
        guard let memory = contents.withLock({ $0.memory }) else { return nil }
        return withExtendedLifetime(memory) { unsafe body(Octets(base: memory.room.baseAddress, count: count)) }
    }

    /// A digest that identifies these octets, also when they are forgotten. It is made at the first call.
    /// - Returns: nil if the octets were forgotten before that.
    package func digest(_ make: (Octets) -> [UInt8]) -> [UInt8]? {
        if let known = contents.withLock({ $0.digest }) { return known }
        guard let made = withOctets(make) else { return nil }
        contents.withLock { $0.digest = made }
        return made
    }
}

extension SecretOctets: Equatable {
    /// Whether both have the same octets. Those that were forgotten are like no others.
    package static func == (left: SecretOctets, right: SecretOctets) -> Bool {
        left === right || left.withOctets { own in right.withOctets { own == $0 } } == .some(.some(true))
    }
}

/// Memory that is overwritten when it is freed.
///
/// `Sendable` because only its maker writes it, before it is shared.
///
/// Thread: any. Freed by: its `SecretOctets`, or a reader that has it meanwhile.
@safe private final class WipedMemory: @unchecked Sendable {
    /// Owned.
    let room: UnsafeMutableRawBufferPointer

    init(capacity: Int) { unsafe room = .allocate(byteCount: max(capacity, 1), alignment: 1) }

    deinit {
        if let base = unsafe room.baseAddress { unsafe explicit_bzero(base, room.count) }
        unsafe room.deallocate()
    }
}

extension [UInt8] {
    /// Overwrites the octets. Only for an array that is the only owner of its memory; otherwise a copy is overwritten.
    package mutating func wipe() {
        unsafe withUnsafeMutableBytes { octets in
            if let base = octets.baseAddress { unsafe explicit_bzero(base, octets.count) }
        }
    }

    /// Appends octets. Memory that becomes too small is overwritten before it is freed.
    package mutating func append(wiping octets: Octets) {
        unsafe octets.buffer.withMemoryRebound(to: UInt8.self) { unsafe append(wiping: $0) }
    }

    /// Appends octets. Memory that becomes too small is overwritten before it is freed.
    package mutating func append(wiping octets: UnsafeBufferPointer<UInt8>) {
        if count + octets.count > capacity {
            var larger: [UInt8] = []
            larger.reserveCapacity(Swift.max(2 * capacity, count + octets.count))
            larger.append(contentsOf: self)
            wipe()
            self = larger
        }
        unsafe append(contentsOf: octets)
    }
}

extension ArraySlice<UInt8> {
    /// Overwrites the octets; see `Array.wipe`.
    package mutating func wipe() {
        unsafe withUnsafeMutableBytes { octets in
            if let base = octets.baseAddress { unsafe explicit_bzero(base, octets.count) }
        }
    }
}
