internal import Glibc
internal import Synchronization

/// Octets that nobody may find in memory later: a private key, or whatever else a Secret holds. They lie in one place,
/// are overwritten when the owner is freed or `forget` is called, and are copied by nobody who does not wipe the copy.
package final class SecretOctets: Sendable {
    private struct Contents {
        var memory: WipedMemory?
        var digest: [UInt8]?
    }

    private let contents: Mutex<Contents>
    /// How many there are, or were.
    package let count: Int
    package var isEmpty: Bool { count == 0 }

    /// - Parameters:
    ///   - capacity: octets of room, 0 or more.
    ///   - fill: writes into the room, and returns how many octets it wrote.
    package init<Fault: Error>(
        capacity: Int, fill: (UnsafeMutableRawBufferPointer) throws(Fault) -> Int
    ) throws(Fault) {
        let memory = WipedMemory(capacity: capacity)
        let count = unsafe try fill(memory.room)
        self.count = count
        contents = Mutex(Contents(memory: memory))
    }

    /// A copy; the original stays the caller's to wipe.
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

    /// Overwrites the octets, once nobody is in `withOctets`: from now on that has none. What `digest` made is kept.
    package func forget() { contents.withLock { $0.memory = nil } }

    /// Calls `body` with the octets, which must not outlive the call.
    /// - Returns: what `body` returns; nil when they are forgotten.
    package func withOctets<Result>(_ body: (Octets) -> Result) -> Result? {
        // Not under the lock: two owners may be asked one inside the other.
        guard let memory = contents.withLock({ $0.memory }) else { return nil }
        return withExtendedLifetime(memory) { unsafe body(Octets(base: memory.room.baseAddress, count: count)) }
    }

    /// A digest that tells these octets from others, also after they are forgotten; made at the first call.
    /// - Returns: nil when they were forgotten before.
    package func digest(_ make: (Octets) -> [UInt8]) -> [UInt8]? {
        if let known = contents.withLock({ $0.digest }) { return known }
        guard let made = withOctets(make) else { return nil }
        contents.withLock { $0.digest = made }
        return made
    }
}

/// Memory that is overwritten when it is freed.
@safe private final class WipedMemory: @unchecked Sendable {    // written by its maker alone, before others have it
    /// Owned.
    let room: UnsafeMutableRawBufferPointer

    init(capacity: Int) { unsafe room = .allocate(byteCount: max(capacity, 1), alignment: 1) }

    deinit {
        if let base = unsafe room.baseAddress { unsafe explicit_bzero(base, room.count) }
        unsafe room.deallocate()
    }
}

extension [UInt8] {
    /// Overwrites the octets. Only for an array that is the only owner of its memory: another owner keeps its own.
    package mutating func wipe() {
        unsafe withUnsafeMutableBytes { octets in
            if let base = octets.baseAddress { unsafe explicit_bzero(base, octets.count) }
        }
    }

    /// Appends; memory that grows too small for it is overwritten before it is given back.
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
