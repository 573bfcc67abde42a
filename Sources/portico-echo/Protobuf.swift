internal import Octets

/// The part of protobuf's wire format that HelloRequest and HelloReply need: field 1, a string.
/// Source: https://protobuf.dev/programming-guides/encoding.
enum Protobuf {
    /// The text of the last field 1 of wire type 2; nil if the octets are not a message.
    static func text(in message: Octets) -> Octets? {
        var index = 0
        var text = Octets.empty
        while index < message.count {
            guard let key = varint(message, &index) else { return nil }
            switch key & 7 {
            case 0: guard varint(message, &index) != nil else { return nil }
            case 1: index += 8
            case 5: index += 4
            case 2:
                guard let length = varint(message, &index), length <= UInt64(message.count - index)
                else { return nil }
                if key == 0x0a { text = message.slice(index, index + Int(length)) }
                index += Int(length)
            default: return nil
            }
            guard index <= message.count else { return nil }
        }
        return text
    }

    /// Appends a message whose field 1 is a text.
    static func appendText(_ text: String, to out: OctetBuffer) {
        out.append(0x0a)
        append(varint: UInt64(text.utf8.count), to: out)
        out.append(text: text)
    }

    /// Appends a number as a varint.
    static func append(varint: UInt64, to out: OctetBuffer) {
        var rest = varint
        while rest >= 0x80 {
            out.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        out.append(UInt8(truncatingIfNeeded: rest))
    }

    private static func varint(_ message: Octets, _ index: inout Int) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard index < message.count else { return nil }
            let octet = message[index]
            index += 1
            value |= UInt64(octet & 0x7f) << shift
            if octet < 0x80 { return value }
        }
        return nil
    }
}
