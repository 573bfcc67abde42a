internal import CLinux

/// How much memory the process's container may have, as its control groups say: in `memory.max` in their second
/// version, in `memory.limit_in_bytes` in the first one.
package enum ContainerMemory {
    /// The smallest limit of the process's group and of those around it, in octets; nil when there is none.
    package static func limit() -> UInt64? { limit { text(of: $0) } }

    /// - Parameter read: the text of a file; nil when it cannot be read.
    static func limit(reading read: (String) -> String?) -> UInt64? {
        let groups = read("/proc/self/cgroup") ?? ""
        var least: UInt64?
        for line in groups.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let isUnified = parts[0] == "0" && parts[1].isEmpty
            guard isUnified || parts[1].split(separator: ",").contains("memory") else { continue }
            let root = isUnified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory"
            let file = isUnified ? "memory.max" : "memory.limit_in_bytes"
            for folder in folders(to: String(parts[2])) {
                guard let octets = read("\(root)\(folder)/\(file)").flatMap(octets) else { continue }
                least = min(least ?? .max, octets)
            }
        }
        return least
    }

    private static let mostFolders = 32

    /// `/a/b` → `/a/b`, `/a` and "", at most `mostFolders` of them. Within a container the folders of the host are not
    /// there.
    private static func folders(to path: String) -> [String] {
        let names = path.split(separator: "/").prefix(mostFolders - 1)
        return (0...names.count).reversed().map { count in names.prefix(count).map { "/\($0)" }.joined() }
    }

    /// nil for `max`, and for what the first version writes in its place.
    private static func octets(_ text: String) -> UInt64? {
        let digits = text.prefix { $0.isNumber }
        guard let value = UInt64(digits), value > 0, value < 1 << 60 else { return nil }
        return value
    }

    private static func text(of path: String) -> String? {
        let descriptor = unsafe portico_open_for_reading(path)
        guard descriptor >= 0 else { return nil }
        let file = Descriptor(owning: descriptor)
        var text = [UInt8](repeating: 0, count: 4096)
        let count = unsafe CLinux.read(file.number, &text, text.count)
        return count < 0 ? nil : String(decoding: text[..<count], as: UTF8.self)
    }
}
