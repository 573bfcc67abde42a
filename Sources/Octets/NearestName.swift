/// Finds the known name that somebody who wrote an unknown one most likely meant.
package enum NearestName {
    /// Among few names, in any case of letters.
    /// - Returns: nil when none is near: at most a third of the letters may differ, and never more than four.
    package static func find(_ unknown: String, among known: [String]) -> String? {
        guard unknown.utf8.count <= 64 else { return nil }
        let wanted = Array(unknown.lowercased().utf8)
        var limit = max(1, min(4, wanted.count / 3)) + 1
        var best: String?
        for name in known {
            let distance = distance(wanted, Array(name.lowercased().utf8), below: limit)
            if distance < limit { (limit, best) = (distance, name) }
        }
        return best
    }

    /// Insertions, removals, replacements and swaps of neighbours that turn one text into the other; `limit` when it
    /// is not below it, and for texts of more than 512 octets.
    package static func distance(_ left: [UInt8], _ right: [UInt8], below limit: Int) -> Int {
        guard abs(left.count - right.count) < limit, left.count <= 512, right.count <= 512 else { return limit }
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for (row, letter) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                var cost = min(last[column] + (letter == other ? 0 : 1), last[column + 1] + 1, current[column] + 1)
                let isSwap = row > 0 && column > 0 && letter == right[column - 1] && left[row - 1] == other
                if isSwap { cost = min(cost, beforeLast[column - 1] + 1) }
                current.append(cost)
            }
            // A swap reaches back one row, so that two rows must be beyond the limit.
            if let least = current.min(), let before = last.min(), min(least, before) >= limit { return limit }
            (beforeLast, last) = (last, current)
        }
        return min(last[right.count], limit)
    }
}
