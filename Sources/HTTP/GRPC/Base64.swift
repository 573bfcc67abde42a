internal import Octets

/// Base64 that comes in any pieces, and whose parts may each have padding of their own. Source: RFC 4648 §4.
struct Base64Decoder {
    private var group: UInt32 = 0
    private var padding = 0
    /// Digits of the group that is open, padding included: 0 to 3.
    private(set) var openDigits = 0

    /// Decodes further digits.
    /// - Returns: false when they are not Base64.
    mutating func decode(_ text: Octets, to output: OctetBuffer) -> Bool {
        for index in 0..<text.count {
            if text[index] == UInt8(ascii: "=") {
                guard openDigits >= 2 else { return false }
                padding += 1
                group <<= 6
            } else {
                guard padding == 0, let value = Base64.value(of: text[index]) else { return false }
                group = group << 6 | UInt32(value)
            }
            openDigits += 1
            if openDigits == 4 { endGroup(output) }
        }
        return true
    }

    private mutating func endGroup(_ output: OctetBuffer) {
        output.append(UInt8(truncatingIfNeeded: group >> 16))
        if padding < 2 { output.append(UInt8(truncatingIfNeeded: group >> 8)) }
        if padding == 0 { output.append(UInt8(truncatingIfNeeded: group)) }
        group = 0
        openDigits = 0
        padding = 0
    }
}

/// Encodes octets that come in any pieces. What does not fill a group waits for the next piece, or for `pad`.
struct Base64Encoder {
    private var group: UInt32 = 0
    private var count = 0    // octets of the group, 0 to 2

    /// Encodes further octets, as far as they fill groups of three.
    mutating func encode(_ octets: Octets, to output: OctetBuffer) {
        for index in 0..<octets.count {
            group = group << 8 | UInt32(octets[index])
            count += 1
            if count == 3 { write(digits: 4, to: output) }
        }
    }

    /// Ends the group that is open, if there is one, with padding.
    mutating func pad(to output: OctetBuffer) {
        guard count > 0 else { return }
        group <<= UInt32(8 * (3 - count))
        write(digits: count + 1, to: output)
    }

    private mutating func write(digits: Int, to output: OctetBuffer) {
        for place in 0..<4 {
            let value = Int(group >> UInt32(18 - 6 * place) & 63)
            output.append(place < digits ? Base64.digit(value) : UInt8(ascii: "="))
        }
        group = 0
        count = 0
    }
}

/// The digits of Base64. Source: RFC 4648 §4.
enum Base64 {
    private static let alphabet: Octets = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    /// The digit that stands for six bits.
    static func digit(_ value: Int) -> UInt8 { alphabet[value & 63] }

    /// The six bits that a digit stands for; nil for what is none.
    static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case 0x41...0x5a: digit - 0x41    // A to Z
        case 0x61...0x7a: digit - 0x61 + 26    // a to z
        case 0x30...0x39: digit - 0x30 + 52    // 0 to 9
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
