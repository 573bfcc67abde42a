internal import Glibc

/// Octets on their way out, or in: appended behind, taken in front, memory reused.
/// Not `Sendable`: its owner's thread only.
@safe package final class OctetBuffer {
    private var base: UnsafeMutableRawPointer    // owned; `capacity` octets, freed in `deinit`
    /// Octets there is memory for.
    package private(set) var capacity: Int
    private var start = 0    // first octet that is not taken yet
    private var end = 0    // behind the last octet

    package init(capacity: Int = 4096) {
        self.capacity = max(capacity, 64)
        unsafe base = .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit { unsafe base.deallocate() }

    package var count: Int { end - start }
    package var isEmpty: Bool { start == end }

    /// The octets not taken yet; valid until the next call that changes the buffer.
    package var octets: Octets { unsafe Octets(base: UnsafeRawPointer(base) + start, count: end - start) }

    package func append(_ octets: Octets) {
        guard octets.count > 0, let source = unsafe octets.base else { return }
        reserve(octets.count)
        unsafe memcpy(base + end, source, octets.count)
        end += octets.count
    }

    /// For names that are static texts; a literal is octets already.
    @_disfavoredOverload package func append(_ text: StaticString) { append(Octets(text)) }

    package func append(_ octet: UInt8) {
        reserve(1)
        unsafe base.storeBytes(of: octet, toByteOffset: end, as: UInt8.self)
        end += 1
    }

    package func append(text: String) {
        var text = text
        text.withUTF8 { unsafe append(Octets(UnsafeRawBufferPointer($0))) }
    }

    /// Decimal digits of `number`, `-` in front when negative.
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

    /// Room for at least `length` more octets; `commit` says how many were written.
    package func room(_ length: Int) -> UnsafeMutableRawBufferPointer {
        reserve(length)
        return unsafe UnsafeMutableRawBufferPointer(start: base + end, count: capacity - end)
    }

    package func commit(_ length: Int) {
        precondition(length >= 0 && end + length <= capacity)
        end += length
    }

    package func take(_ length: Int) {
        precondition(length >= 0 && length <= count)
        start += length
        if start == end {
            start = 0
            end = 0
        }
    }

    /// Sets bits of an octet that was not taken yet.
    package func set(_ bits: UInt8, at index: Int) {
        precondition(index >= 0 && index < count)
        let present = unsafe base.load(fromByteOffset: start + index, as: UInt8.self)
        unsafe base.storeBytes(of: present | bits, toByteOffset: start + index, as: UInt8.self)
    }

    /// The two buffers change places, octets and memory; nothing is copied.
    package func exchange(with other: OctetBuffer) {
        unsafe swap(&base, &other.base)
        swap(&capacity, &other.capacity)
        swap(&start, &other.start)
        swap(&end, &other.end)
    }

    /// Forgets all octets; gives memory back when the buffer grew beyond `keeping`.
    package func clear(keeping: Int = .max) {
        start = 0
        end = 0
        guard capacity > keeping else { return }
        unsafe base.deallocate()
        capacity = max(keeping, 64)
        unsafe base = .allocate(byteCount: capacity, alignment: 16)
    }

    @inline(__always)
    private func reserve(_ length: Int) {
        if capacity - end < length { makeRoom(length) }
    }

    private func makeRoom(_ length: Int) {
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
