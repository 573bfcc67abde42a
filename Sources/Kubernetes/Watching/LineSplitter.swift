internal import Octets

/// Cuts the octets of a watch into lines. It keeps the beginning of a line that is not complete, and no copy of
/// others.
struct LineSplitter {
    /// The most octets of a line. An object has at most about 1.5 MiB in etcd, and 3 MiB with what JSON adds.
    static let mostOctets = 4 << 20

    private let limit: Int
    private var beginning: [UInt8] = []

    init(limit: Int = Self.mostOctets) { self.limit = limit }

    /// Overwrites the line that has begun, which may have a secret in it, and forgets it.
    mutating func wipe() { beginning.wipe() }

    /// Whether a line has begun and not ended.
    var isWithinLine: Bool { !beginning.isEmpty }

    /// Takes octets as they come.
    /// - Parameter take: gets each complete line, without its end, as its only owner; empty ones are left out. It
    ///   returns false to stop.
    /// - Returns: false if a line is above the limit.
    mutating func feed(_ octets: Octets, _ take: (inout [UInt8]) -> Bool) -> Bool {
        var rest = octets
        while let end = rest.firstIndex(of: 0x0A) {
            guard beginning.count + end <= limit else { return false }
            var line = finish(with: rest.prefix(end))
            rest = rest.dropFirst(end + 1)
            if !line.isEmpty, !take(&line) { return true }
        }
        guard beginning.count + rest.count <= limit else { return false }
        beginning.append(wiping: rest)
        return true
    }

    private mutating func finish(with end: Octets) -> [UInt8] {
        guard !beginning.isEmpty else { return end.array }
        var line: [UInt8] = []
        swap(&line, &beginning)
        line.append(wiping: end)
        return line
    }
}
