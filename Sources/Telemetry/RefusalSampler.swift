/// Which refusals get a line: so many of each kind in a second, so that a flood of one kind neither fills a
/// disk nor hides another. What got none is summed up a second later. One worker's.
package struct RefusalSampler {
    /// Lines of one kind in one second.
    static let linesPerSecond: UInt8 = 10

    private var second = Int.min
    private var lines = [UInt8](repeating: 0, count: Refusal.all.count)
    private var suppressed = [Int](repeating: 0, count: Refusal.all.count)
    package private(set) var isSuppressing = false

    package init() {}

    /// - Returns: whether this one gets its line.
    package mutating func admits(_ refusal: Refusal, at now: Int) -> Bool {
        let index = refusal.index
        if now != second {
            second = now
            for index in lines.indices { lines[index] = 0 }
        }
        guard lines[index] < Self.linesPerSecond else {
            suppressed[index] += 1
            isSuppressing = true
            return false
        }
        lines[index] += 1
        return true
    }

    /// How many got no line, as one sentence; and begins anew.
    package mutating func summary() -> String {
        let parts = suppressed.indices.filter { suppressed[$0] > 0 }
            .map { "\(Refusal.all[$0].name) \(suppressed[$0])" }
        for index in suppressed.indices { suppressed[index] = 0 }
        isSuppressing = false
        return "refused within a second and not logged one by one: \(parts.joined(separator: ", "))"
    }
}
