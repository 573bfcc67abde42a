internal import Glibc

/// A buffer of octets that are on their way in or out. They are appended at the end and taken from the front, and the
/// memory is used again.
///
/// Thread: its owner's. Freed by: its last reference; a pool may keep it for the next use.
@safe @usableFromInline
package final class OctetBuffer {
    @usableFromInline var base: UnsafeMutableRawPointer    // owned; `capacity` octets, freed in `deinit`
    /// How many octets the buffer has memory for.
    @usableFromInline package internal(set) var capacity: Int
    @usableFromInline var start = 0    // first octet that is not taken yet
    @usableFromInline var end = 0    // behind the last octet

    /// Makes an empty buffer.
    /// - Parameter capacity: octets of memory to begin with, at least 64. The buffer grows when it must.
    package init(capacity: Int = 4096) {
        self.capacity = max(capacity, 64)
        unsafe base = .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit { unsafe base.deallocate() }

    /// How many octets have not been taken yet.
    @inlinable @inline(__always) package var count: Int { end - start }
    /// Whether all octets have been taken.
    @inlinable @inline(__always) package var isEmpty: Bool { start == end }

    /// The octets that have not been taken yet; valid until the next call that changes the buffer.
    @inlinable @inline(__always)
    package var octets: Octets { unsafe Octets(base: UnsafeRawPointer(base) + start, count: end - start) }

    /// Appends a copy, so the octets need not stay. They may be the buffer's own only while it has room for them:
    /// growing frees the memory that they are in.
    package func append(_ octets: Octets) {
        guard octets.count > 0, let source = unsafe octets.base else { return }
        reserve(octets.count)
        unsafe memcpy(base + end, source, octets.count)
        end += octets.count
    }

    /// Appends the octets of a text that lives as long as the process. A literal needs no conversion: it is `Octets`
    /// already.
    @_disfavoredOverload package func append(_ text: StaticString) { append(Octets(text)) }

    /// Appends one octet, and makes room for it if there is none.
    package func append(_ octet: UInt8) {
        reserve(1)
        unsafe base.storeBytes(of: octet, toByteOffset: end, as: UInt8.self)
        end += 1
    }

    /// Appends a text in UTF-8.
    package func append(text: String) {
        text.withOctets { append($0) }
    }

    /// Appends the decimal digits of `number`, with `-` before them if it is negative.
    package func append(decimal number: Int) {
        if number < 0 { append(UInt8(ascii: "-")) }
        var rest = number.magnitude
        var digits = (0 as UInt64, 0 as UInt64, 0 as UInt64)    // 24 octets on the stack
        unsafe withUnsafeMutableBytes(of: &digits) { room in
            var index = room.count
            repeat {
                index -= 1
                unsafe room[index] = UInt8(truncatingIfNeeded: rest % 10) + 0x30
                rest /= 10
            } while rest > 0
            unsafe append(Octets(UnsafeRawBufferPointer(rebasing: room[index...])))
        }
    }

    /// Memory for at least `length` more octets behind the last one. Call `commit` after writing to it.
    @inlinable @inline(__always)
    package func room(_ length: Int) -> UnsafeMutableRawBufferPointer {
        reserve(length)
        return unsafe UnsafeMutableRawBufferPointer(start: base + end, count: capacity - end)
    }

    /// Says that `length` octets were written to `room`; traps if that is more than the room has.
    @inlinable @inline(__always)
    package func commit(_ length: Int) {
        precondition(length >= 0 && end + length <= capacity)
        end += length
    }

    /// Removes `length` octets from the front; traps if there are fewer.
    @inlinable @inline(__always)
    package func take(_ length: Int) {
        precondition(length >= 0 && length <= count)
        start += length
        if start == end {
            start = 0
            end = 0
        }
    }

    /// Sets bits of an octet that has not been taken yet.
    @inlinable @inline(__always)
    package func set(_ bits: UInt8, at index: Int) {
        precondition(index >= 0 && index < count)
        let present = unsafe base.load(fromByteOffset: start + index, as: UInt8.self)
        unsafe base.storeBytes(of: present | bits, toByteOffset: start + index, as: UInt8.self)
    }

    /// Swaps octets and memory of the two buffers without copying.
    package func swapContents(with other: OctetBuffer) {
        unsafe swap(&base, &other.base)
        swap(&capacity, &other.capacity)
        swap(&start, &other.start)
        swap(&end, &other.end)
    }

    /// Overwrites and drops all octets.
    package func wipe() {
        unsafe explicit_bzero(base, end)
        start = 0
        end = 0
    }

    /// Drops all octets.
    /// - Parameter keeping: octets of memory that stay; what the buffer has beyond that is freed.
    package func clear(keeping: Int = .max) {
        start = 0
        end = 0
        guard capacity > keeping else { return }
        unsafe base.deallocate()
        capacity = max(keeping, 64)
        unsafe base = .allocate(byteCount: capacity, alignment: 16)
    }

    /// Sees to it that `length` more octets fit behind `end`. What `base` pointed to before may be freed.
    @inlinable @inline(__always)
    func reserve(_ length: Int) {
        if capacity - end < length { makeRoom(length) }
    }

    /// Moves the octets to the beginning of the memory if that is enough, else to twice as much of it.
    @usableFromInline
    func makeRoom(_ length: Int) {
        let used = end - start
        if start > 0, capacity - used >= length, start >= used {
            unsafe memcpy(base, base + start, used)
        } else {
            let grown = max(capacity * 2, used + length)
            let fresh = UnsafeMutableRawPointer.allocate(byteCount: grown, alignment: 16)
            unsafe memcpy(fresh, base + start, used)
            unsafe base.deallocate()
            unsafe base = fresh
            capacity = grown
        }
        start = 0
        end = used
    }
}
