/// Writes JSON (RFC 8259) into a text, indented by nothing: for programs, and `jq` for people.
package struct JSONText {
    package private(set) var text = ""
    private var needsComma = false

    package init() {}

    package mutating func array<Elements: Sequence>(
        _ elements: Elements, _ write: (Elements.Element, inout JSONText) -> Void
    ) {
        begin("[")
        for element in elements {
            separate()
            write(element, &self)
            needsComma = true
        }
        end("]")
    }

    package mutating func object(_ write: (inout JSONText) -> Void) {
        begin("{")
        write(&self)
        end("}")
    }

    package mutating func field(_ name: String, _ value: String?) {
        key(name)
        if let value { string(value) } else { text += "null" }
    }

    package mutating func field(_ name: String, _ value: Int?) {
        key(name)
        text += value.map(String.init) ?? "null"
    }

    package mutating func field(_ name: String, _ value: Bool) {
        key(name)
        text += value ? "true" : "false"
    }

    /// A field whose value `write` writes; null when there is none.
    package mutating func field<Value>(
        _ name: String, of value: Value?, _ write: (Value, inout JSONText) -> Void
    ) {
        key(name)
        if let value {
            write(value, &self)
            needsComma = true
        } else {
            text += "null"
        }
    }

    /// A text as a value of its own.
    package mutating func string(_ value: String) {
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

    private mutating func key(_ name: String) {
        separate()
        string(name)
        text += ": "
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { text += ", " }
        needsComma = false
    }

    private mutating func begin(_ bracket: String) {
        text += bracket
        needsComma = false
    }

    private mutating func end(_ bracket: String) {
        text += bracket
        needsComma = true
    }
}
