// What plain YAML texts mean to Kubernetes, which reads YAML 1.1 as go-yaml does: `yes` and `on` are Booleans, `0x1F`
// and `017` are numbers. Where a text is wanted, such a text must be quoted.

/// The meaning of a scalar.
enum Scalar: Equatable {
    case null
    case bool(Bool)
    case integer(Int)
    /// A number with a fraction or exponent, or an integer that is too large for `Int`.
    case number(Double)
    case text

    init(plain text: ArraySlice<UInt8>) {
        guard let first = text.first else {
            self = .null
            return
        }
        self =
            switch first {
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
        if let integer = decimal(text) { return .integer(integer) }
        guard text.allSatisfy(isNumberOctet) else { return special(text) }
        var word = String(decoding: text, as: UTF8.self)
        word.removeAll { $0 == "_" }
        if let integer = integer(word) { return .integer(integer) }
        guard text.contains(where: { $0 >= 0x30 && $0 <= 0x39 }) else { return .text }
        // Swift requires a digit before the point, YAML does not. Swift's hexadecimal forms and its `nan` are not YAML.
        guard !word.contains("x"), !word.contains("X") else { return .text }
        return Double(word.hasPrefix(".") ? "0" + word : word).map(Scalar.number) ?? .text
    }

    /// An ordinary integer: digits without a leading zero, perhaps after a minus sign.
    private static func decimal(_ text: ArraySlice<UInt8>) -> Int? {
        var digits = text
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative { digits.removeFirst() }
        guard let first = digits.first, digits.count <= 18 else { return nil }
        guard first != UInt8(ascii: "0") || digits.count == 1 else { return nil }
        var number = 0
        for digit in digits {
            guard digit >= 0x30, digit <= 0x39 else { return nil }
            number = number * 10 + Int(digit - 0x30)
        }
        return isNegative ? -number : number
    }

    private static func isNumberOctet(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: "."), UInt8(ascii: "-"),
            UInt8(ascii: "+"), UInt8(ascii: "_"), UInt8(ascii: "x"), UInt8(ascii: "X"),
            UInt8(ascii: "o"):
            true
        default: false
        }
    }

    private static func special(_ text: ArraySlice<UInt8>) -> Scalar {
        guard text.count <= 5 else { return .text }
        switch String(decoding: text, as: UTF8.self) {
        case ".inf", ".Inf", ".INF", "+.inf", "-.inf": return .number(.infinity)
        case ".nan", ".NaN", ".NAN": return .number(.nan)
        default: return .text
        }
    }

    /// An integer with a plus sign, an underscore or a prefix.
    private static func integer(_ word: String) -> Int? {
        var digits = Substring(word)
        var sign = ""
        if let first = digits.first, first == "-" || first == "+" {
            sign = String(first)
            digits.removeFirst()
        }
        guard let first = digits.utf8.first, first >= 0x30, first <= 0x39 else { return nil }
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where digits.hasPrefix(prefix) {
            let rest = digits.dropFirst(2)
            guard let sign = rest.utf8.first, sign != 0x2B, sign != 0x2D else { return nil }
            return Int((word.hasPrefix("-") ? "-" : "") + rest, radix: radix)
        }
        if digits.utf8.count > 1, digits.hasPrefix("0") { return Int(sign + digits, radix: 8) }
        return Int(sign + digits)
    }
}
