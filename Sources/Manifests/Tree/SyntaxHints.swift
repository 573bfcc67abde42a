// Explains syntax errors. libyaml says where it failed, but not why. The usual reasons are a text without quotes and a
// template that was not rendered, which can be seen in the faulty line.

extension SyntaxError {
    /// The same error with an explanation, if the text shows one.
    func explained(by rest: FileRemainder) -> SyntaxError {
        let lines = rest.document(to: self.line)
        var error = self
        if let place = TemplateText.place(in: lines.text, last: lines.last) {
            error.code = TemplateText.code
            error.message = "not YAML: \(TemplateText.message(place.mark)); the rest of the file is not read"
            error.hint = TemplateText.hint
            error.line = lines.number - place.linesAbove
            error.column = place.column
            return error
        }
        error.hint = hint ?? Self.hints.first { message.contains($0.words) }?.hint
        if let beginning, Self.reportedLate.contains(where: message.contains) {
            (error.line, error.column) = beginning
        }
        if message.contains("cannot start any token"), lines.last.dropFirst(max(column, 1) - 1).first == 0x09 {
            error.hint = "indent with spaces: this is a tab"
        }
        guard let text = unquoted(in: lines.last), !rest.isSecret(near: self.line) else { return error }
        error.hint = "quote it: \(Self.quoted(text))"
        if code == "unknown-anchor" {
            error.message = "`\(text)` names no anchor before it"
        } else if text.hasPrefix("*") {
            error.message =
                "not YAML: `\(text)` stands without quotes, and a `*` without quotes is the sign of an alias"
        }
        return error
    }

    /// The text at the place of the error that would be valid in quotes.
    private func unquoted(in line: ArraySlice<UInt8>) -> String? {
        if message.contains("scanning an alias") || code == "unknown-anchor" { return word(line, from: "*") }
        if message.contains("scanning an anchor") { return word(line, from: "&") }
        if message.contains("scanning a tag") || message.contains("tag handle") { return word(line, from: "!") }
        if message.contains("cannot start any token") {
            return word(line, from: "@") ?? word(line, from: "`") ?? word(line, from: "%")
        }
        if message.contains("flow node") { return word(line, from: ":") }
        return message.contains("did not find expected") ? bracketed(line) : nil
    }

    /// A word of the line that begins with the sign, not after the place of the error.
    private func word(_ line: ArraySlice<UInt8>, from sign: Unicode.Scalar) -> String? {
        let reach = line.prefix(max(column, 0))
        guard let start = reach.lastIndex(of: UInt8(ascii: sign)) else { return nil }
        let isBegin = start == line.startIndex || " \t,[{:".utf8.contains(line[start - 1])
        guard isBegin else { return nil }
        return Self.text(line[start...].prefix { !" \t,]}#\r".utf8.contains($0) })
    }

    /// A value that begins like a list or mapping and goes on after its end: `[a-z]+`.
    private func bracketed(_ line: ArraySlice<UInt8>) -> String? {
        let text = String(decoding: line, as: UTF8.self)
        guard let colon = text.firstRange(of: ": ") else { return nil }
        let value = text[colon.upperBound...].drop { $0 == " " }
        guard value.hasPrefix("[") || value.hasPrefix("{"), !value.hasSuffix("]"), !value.hasSuffix("}"),
            value.contains("]") || value.contains("}")
        else { return nil }
        return Self.text(ArraySlice(value.utf8))
    }

    /// The longest text that a hint has, in octets.
    private static let longestText = 200

    private static func text(_ octets: ArraySlice<UInt8>) -> String? {
        guard !octets.isEmpty, octets.count <= longestText, octets.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            return nil
        }
        let text = SurrogatePairs.putBack(FlowColons.putBack(octets)[...], isDoubleQuoted: false)
        return String(decoding: text, as: UTF8.self)
    }

    private static func quoted(_ text: String) -> String {
        let quote = text.contains("\\") || text.contains("\"") ? "'" : "\""
        return quote + text + quote
    }

    /// Errors that libyaml finds later than the place where an author would look for them.
    private static let reportedLate = [
        "end of stream while scanning a quoted scalar", "document indicator while scanning a quoted scalar",
        "could not find expected ':'",
    ]

    /// Remedies for libyaml's messages, specific ones first.
    private static let hints: [(words: String, hint: String)] = [
        (
            words: "cannot start any token",
            hint: "indent with spaces, not tabs, and quote texts that begin with @, % or `"
        ),
        (
            "mapping values are not allowed",
            "check the indentation, look for a missing `:` in the line above, and quote texts that contain `: `"
        ),
        ("while scanning a quoted scalar", "close the quote that begins here"),
        (
            "could not find expected ':'",
            "write `:` and a blank behind the name, or indent the line if it belongs to the text above"
        ),
        ("unexpected ':'", "quote texts that contain `:`"),
        ("scanning an alias", "quote texts that begin with *"),
        ("scanning an anchor", "quote texts that begin with &"),
        ("tag", "quote texts that begin with !"),
        (
            "escape character",
            "in double quotes a backslash begins an escape: write the text in single quotes"
        ),
        ("escape code", "write the character itself"),
        ("did not find expected", "check the indentation, and quote texts that begin with [ or {"),
    ]
}
