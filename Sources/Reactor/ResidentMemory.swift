internal import CLinux

/// Asks the kernel how much memory of the process is in RAM, about a microsecond each time.
///
/// Thread: its owner's. Freed by: `MemoryWatch`.
package final class ResidentMemory {
    private let file: Descriptor
    private let pageOctets: Int

    /// Opens `/proc/self/statm`; fails where there is none, or no descriptor is left.
    package init() throws(SystemError) {
        let descriptor = unsafe portico_open_for_reading("/proc/self/statm")
        guard descriptor >= 0 else { throw SystemError("open", on: "/proc/self/statm") }
        file = Descriptor(owning: descriptor)
        pageOctets = max(sysconf(Int32(_SC_PAGESIZE)), 4096)
    }

    /// Octets in RAM; 0 when the kernel does not say.
    package func octets() -> Int {
        var text = (0 as UInt64, 0 as UInt64, 0 as UInt64, 0 as UInt64)    // room for the first two numbers
        return unsafe withUnsafeMutableBytes(of: &text) { room in
            let count = unsafe pread(file.number, room.baseAddress, room.count, 0)
            guard count > 0 else { return 0 }
            return unsafe Self.secondNumber(UnsafeRawBufferPointer(rebasing: room[..<count])) &* pageOctets
        }
    }

    private static func secondNumber(_ text: UnsafeRawBufferPointer) -> Int {
        var value = 0, spaces = 0
        for index in text.indices {
            let octet = unsafe text[index]
            if octet == UInt8(ascii: " ") {
                spaces += 1
                if spaces == 2 { return value }
            } else if spaces == 1, octet >= UInt8(ascii: "0"), octet <= UInt8(ascii: "9") {
                value = value &* 10 &+ Int(octet - UInt8(ascii: "0"))
            }
        }
        return 0
    }
}
