/// Conversions to small integers that end the process when the number does not fit.
enum NarrowedNumbers {
    private static let types = ["UInt8(", "UInt16(", "Int8(", "Int16(", "Int32("]
    private static let labels = ["exactly:", "clamping:", "truncatingIfNeeded:", "bitPattern:", "bigEndian:", "ascii:"]

    /// - Parameter line: code without texts and comments. An argument in the next line is not seen.
    static func areIn(_ line: Substring) -> Bool {
        for type in types where line.has(type) {
            var rest = line
            while let found = rest.firstRange(of: type) {
                let before = rest[..<found.lowerBound].last
                rest = rest[found.upperBound...]
                let isWholeName = before.map { !$0.isLetter && !$0.isNumber && $0 != "_" } ?? true
                if isWholeName, !isKnowing(rest) { return true }
            }
        }
        return false
    }

    private static func isKnowing(_ argument: Substring) -> Bool {
        guard let first = argument.first else { return true }
        return first.isNumber || labels.contains { argument.hasPrefix($0) }
    }
}
