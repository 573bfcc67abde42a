/// Conversions to small integers that end the process when the number does not fit.
enum NarrowedNumbers {
    private static let types = ["UInt8(", "UInt16(", "Int8(", "Int16(", "Int32(", "CInt("]
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
        return first.isNumber || isConstantOfC(argument) || isOfText(argument)
            || labels.contains { argument.hasPrefix($0) }
    }

    /// Such as `SSL_AD_UNKNOWN_CA`: it is the same for every peer, so that the first test would find it.
    private static func isConstantOfC(_ argument: Substring) -> Bool {
        let name = argument.prefix { $0 == "_" || $0.isUppercase || $0.isNumber }
        return name.contains("_") && argument.dropFirst(name.count).first.map { !$0.isLetter } ?? true
    }

    /// With a radix it reads a text, and gives nil for what does not fit.
    private static func isOfText(_ argument: Substring) -> Bool {
        guard let end = argument.firstIndex(of: ")") else { return false }
        return argument[..<end].has(", radix:")
    }
}
