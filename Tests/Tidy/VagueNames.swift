/// Finds names that do not say what they stand for.
enum VagueNames {
    private static let constants: Set<Substring> = [
        "few", "many", "some", "enough", "loss", "gain", "roomy", "left", "batch", "buckets", "size", "amount", "value",
    ]

    /// Whether a line calls the place of something in a list, or a descriptor of the kernel, a number.
    static func haveNumber(_ line: Substring) -> Bool {
        guard line.has("number") else { return false }
        return line.contains(/\(number, .*\.enumerated\(\)/) || line.contains(/(?:_|let|of) number: CInt\b/)
    }

    /// Whether a line declares a constant with a name that leaves open what it counts.
    static func haveConstant(_ line: Substring) -> Bool {
        guard let match = line.firstMatch(of: /\bstatic let (\w+)\b/) else { return false }
        return constants.contains(match.1)
    }
}
