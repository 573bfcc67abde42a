internal import JSON

/// Writes JSON into a text, without indentation. Source: RFC 8259.
package struct JSONText {
    /// What was written.
    package private(set) var text = ""
    private var needsComma = false

    package init() {}

    /// Writes an array; `write` writes each element.
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

    /// Writes an object; `write` writes its fields.
    package mutating func object(_ write: (inout JSONText) -> Void) {
        begin("{")
        write(&self)
        end("}")
    }

    /// Writes a field with a text, or null.
    package mutating func field(_ name: String, _ value: String?) {
        key(name)
        if let value { string(value) } else { text += "null" }
    }

    /// Writes a field with an integer, or null.
    package mutating func field(_ name: String, _ value: Int?) {
        key(name)
        text += value.map(String.init) ?? "null"
    }

    /// Writes a field with `true` or `false`.
    package mutating func field(_ name: String, _ value: Bool) {
        key(name)
        text += value ? "true" : "false"
    }

    /// Writes a field whose value `write` writes; null if there is none.
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

    /// Writes a text in quotes, with escapes where JSON demands them; without a comma before it.
    package mutating func string(_ value: String) { JSONQuotes.append(value, to: &text) }

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
