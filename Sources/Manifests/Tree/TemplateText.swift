/// Finds text that a tool should have replaced: `{{ .Values.host }}` of Helm, `${HOST}` of envsubst, `$(HOST)` of
/// kustomize.
enum TemplateText {
    static let code = "unrendered-template"
    static let hint = "render it first: `helm template`, `kubectl kustomize`, or envsubst for variables"
    private static let marks = ["{{", "${", "$("]

    /// What is wrong, for a report: shows how the text looks that begins with the mark.
    static func message(_ mark: String) -> String {
        let example = mark == "{{" ? "{{ … }}" : mark == "${" ? "${…}" : "$(…)"
        return "the file holds template text, `\(example)`, that nobody has filled in"
    }

    /// The mark of template text in a text; nil if it has none.
    static func mark(in text: some Collection<UInt8>) -> String? {
        marks.first { mark in Self.first(mark, in: text) != nil }
    }

    /// Where template text is that makes a document invalid: in its last line, which is the faulty one, or at the
    /// beginning of a line or value above it.
    static func place(
        in document: ArraySlice<UInt8>, last: ArraySlice<UInt8>
    ) -> (mark: String, linesAbove: Int, column: Int)? {
        var rest = document
        while let start = first("{{", in: rest) {
            let before = document[..<start]
            let line = (before.lastIndex(of: UInt8(ascii: "\n")) ?? document.startIndex - 1) + 1
            let isComment = document[line...].first { $0 != 0x20 } == UInt8(ascii: "#")
            if !isComment, line >= last.startIndex || isBare(document[line..<start]) {
                let linesAbove = document[start...].count { $0 == UInt8(ascii: "\n") }
                return ("{{", linesAbove, start - line + 1)
            }
            rest = document[(start + 2)...]
        }
        guard let mark = mark(in: last), let start = first(mark, in: last) else { return nil }
        return (mark, 0, last.distance(from: last.startIndex, to: start) + 1)
    }

    /// Whether a text may precede a value without quotes: blanks, or anything that ends in `: ` or `- `.
    private static func isBare(_ before: ArraySlice<UInt8>) -> Bool {
        guard let last = before.last(where: { $0 != 0x20 && $0 != 0x09 }) else { return true }
        return last == UInt8(ascii: ":") || last == UInt8(ascii: "-")
    }

    private static func first<Text: Collection<UInt8>>(_ mark: String, in text: Text) -> Text.Index? {
        let wanted = Array(mark.utf8)
        var place = text.startIndex
        while let found = text[place...].firstIndex(of: wanted[0]) {
            place = text.index(after: found)
            if text[place...].first == wanted[1] { return found }
        }
        return nil
    }
}
