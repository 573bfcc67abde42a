internal import CLinux

/// The name of the machine, which in a container is that of its Pod.
package enum HostName {
    /// The name; empty if the system has none. Source: gethostname(2).
    package static let text: String = {
        var name = [CChar](repeating: 0, count: 257)
        let length = name.count - 1    // the last octet stays 0
        let isKnown = unsafe name.withUnsafeMutableBufferPointer { room in
            guard let base = room.baseAddress else { return false }
            return unsafe gethostname(base, length) == 0
        }
        guard isKnown else { return "" }
        return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }()
}
