// What plain YAML texts mean, as Kubernetes reads them (YAML 1.1 as in go-yaml): `yes` and `on`
// are Booleans, `0x1F` and `017` are numbers. A text that would be one of these must be quoted
// where a text is wanted.

/// The meaning of a scalar.
enum Scalar: Equatable {
    case null
    case bool(Bool)
    case integer(Int)
    /// Also integers too large for `Int`.
    case number(Double)
    case text

    init(plain text: ArraySlice<UInt8>) {
        guard let first = text.first else {
            self = .null
            return
        }
        self = switch first {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"),
            UInt8(ascii: "."):
            Scalar.number(text)
        default: Scalar.word(text)
        }
    }

    private static func word(_ text: ArraySlice<UInt8>) -> Scalar {
        guard text.count <= 5 else { return .text }
        switch String(decoding: text, as: UTF8.self) {
        case "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y":
            return .bool(true)
        case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N":
            return .bool(false)
        default: return .text
        }
    }

    private static func number(_ text: ArraySlice<UInt8>) -> Scalar {
        guard text.count <= 64 else { return .text }
        var word = String(decoding: text, as: UTF8.self)
        if [".inf", ".Inf", ".INF", "+.inf", "-.inf", ".nan", ".NaN", ".NAN"].contains(word) {
            return .number(word.contains("n") && !word.contains("i") ? .nan : .infinity)
        }
        word.removeAll { $0 == "_" }
        if let integer = integer(word) { return .integer(integer) }
        let isDecimal = word.utf8.allSatisfy {
            ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x2E || $0 == 0x2B || $0 == 0x2D || $0 | 0x20 == 0x65
        }
        guard isDecimal, word.utf8.contains(where: { $0 >= 0x30 && $0 <= 0x39 }) else { return .text }
        // Swift wants a digit before the point, YAML does not.
        return Double(word.hasPrefix(".") ? "0" + word : word).map(Scalar.number) ?? .text
    }

    private static func integer(_ word: String) -> Int? {
        var digits = Substring(word)
        var sign = ""
        if let first = digits.first, first == "-" || first == "+" {
            sign = String(first)
            digits.removeFirst()
        }
        guard let first = digits.utf8.first, first >= 0x30, first <= 0x39 else { return nil }
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where digits.hasPrefix(prefix) {
            return Int(sign + digits.dropFirst(2), radix: radix)
        }
        if digits.count > 1, digits.hasPrefix("0") { return Int(sign + digits, radix: 8) }
        return Int(sign + digits)
    }
}
