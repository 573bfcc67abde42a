/// Texts as JSON has them. Source: RFC 8259 §7.
package enum JSONQuotes {
    /// Appends a text in quotes. Characters that a terminal acts on are escaped, too, because people look at JSON.
    package static func append(_ value: String, to text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.actsOnTerminals:
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16)
                    text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }

    /// The same as a text of its own, which costs an allocation.
    package static func quoted(_ value: String) -> String {
        var text = ""
        append(value, to: &text)
        return text
    }
}

extension Unicode.Scalar {
    /// Whether it is a control character, sets the direction of text, or is invisible. With such characters a text can
    /// look like another one, or like a line of its own.
    package var actsOnTerminals: Bool {
        switch value {
        case 0..<0x20, 0x7F...0x9F: true    // C0, DEL, C1
        case 0x61C, 0x200B...0x200F, 0x2028...0x202E: true    // marks and overrides of direction, lines
        case 0x2060...0x206F, 0xFEFF, 0xFFF9...0xFFFB: true    // isolates, joiners, annotations
        case 0xE0000...0xE007F: true    // tags
        default: false
        }
    }
}
