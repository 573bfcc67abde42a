/// The known name that an unknown one probably means; nil if none is near.
func nearestName(to unknown: String, among known: [String]) -> String? {
    guard unknown.utf8.count <= 64 else { return nil }
    let wanted = Array(unknown.lowercased().utf8)
    let limit = max(1, min(4, wanted.count / 3))
    var best: (name: String, distance: Int)?
    for name in known {
        let distance = editDistance(wanted, Array(name.lowercased().utf8))
        guard distance <= limit, distance < best?.distance ?? .max else { continue }
        best = (name, distance)
    }
    return best?.name
}

/// The least number of insertions, removals, replacements and swaps of neighbours that turn one text into the other.
private func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    if abs(left.count - right.count) > 4 { return .max }
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for (row, letter) in left.enumerated() {
        var current = [row + 1]
        for (column, other) in right.enumerated() {
            var cost = min(
                last[column] + (letter == other ? 0 : 1), last[column + 1] + 1, current[column] + 1)
            let isSwap =
                row > 0 && column > 0 && letter == right[column - 1]
                && left[row - 1] == other
            if isSwap { cost = min(cost, beforeLast[column - 1] + 1) }
            current.append(cost)
        }
        beforeLast = last
        last = current
    }
    return last[right.count]
}
