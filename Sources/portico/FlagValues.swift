internal import ArgumentParser
internal import Manifests

/// Readers of flags' values. Each refuses what is out of range with a sentence that says what to write; the
/// argument parser puts the flag's name before it.
enum FlagValues {
    /// A year: longer waits are mistakes.
    static let longestDuration = Duration.seconds(365 * 86_400)

    /// The words of a flag with its default, which the argument parser does not print of such flags by itself.
    static func help(_ words: String, _ usual: some CustomStringConvertible) -> ArgumentHelp {
        ArgumentHelp("\(words) (default: \(usual))")
    }

    /// - Parameter lowest: the shortest duration that is accepted.
    static func duration(from lowest: Duration = .zero) -> @Sendable (String) throws -> FlagDuration {
        { text in
            guard let value = Duration(goText: text), value >= lowest, value <= longestDuration else {
                let least = lowest == .zero ? "" : ", \(FlagDuration(lowest)) or longer"
                throw ValidationError("write a duration with its unit, such as 45s or 1m30s\(least)")
            }
            return FlagDuration(value)
        }
    }

    /// A transform for a flag: a whole number within a range, or an error that names the range.
    static func number<Number: FixedWidthInteger & Sendable>(
        _ range: ClosedRange<Number>
    ) -> @Sendable (String) throws -> Number {
        { text in
            guard let value = Number(text), range.contains(value) else {
                throw ValidationError("write a number from \(range.lowerBound) to \(range.upperBound)")
            }
            return value
        }
    }

    /// A transform for a flag: a path that means the same in every folder.
    static func path(_ text: String) throws -> String {
        guard text.hasPrefix("/"), !text.hasSuffix("/") else {
            throw ValidationError("write the whole path of a file, such as /run/portico/portico.pid")
        }
        return text
    }

    /// A transform for a flag: an amount of memory within a range of octets, or an error that names the range.
    static func octets(_ range: ClosedRange<Int>) -> @Sendable (String) throws -> FlagOctets {
        { text in
            guard let value = FlagOctets(text), range.contains(value.count) else {
                let (least, most) = (FlagOctets(range.lowerBound), FlagOctets(range.upperBound))
                throw ValidationError("write octets with Ki, Mi or Gi, such as 64Mi, from \(least) to \(most)")
            }
            return value
        }
    }
}

/// A duration as Istio and Go write it: `10s`, `1m30s`, `250ms`.
struct FlagDuration: Sendable, CustomStringConvertible {
    let value: Duration

    init(_ value: Duration) { self.value = value }

    /// In the largest unit of which it is a whole number.
    var description: String {
        let (seconds, attoseconds) = value.components
        if attoseconds != 0 { return "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)ms" }
        if seconds % 3600 == 0, seconds > 0 { return "\(seconds / 3600)h" }
        return seconds % 60 == 0 && seconds > 0 ? "\(seconds / 60)m" : "\(seconds)s"
    }
}

/// A count of octets as Kubernetes writes it: `65536`, `64Ki`, `64Mi`, `2Gi`.
struct FlagOctets: Sendable, CustomStringConvertible {
    let count: Int
    private static let units = [("Gi", 30), ("Mi", 20), ("Ki", 10)]

    init(_ count: Int) { self.count = count }

    init?(_ text: String) {
        let unit = Self.units.first { text.hasSuffix($0.0) }
        guard let number = Int(text.dropLast(unit == nil ? 0 : 2)), number >= 0 else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: 1 << (unit?.1 ?? 0))
        guard !overflow else { return nil }
        count = product
    }

    /// In the largest unit of which it is a whole number.
    var description: String {
        guard let unit = Self.units.first(where: { count > 0 && count % (1 << $0.1) == 0 }) else { return "\(count)" }
        return "\(count >> unit.1)\(unit.0)"
    }
}
