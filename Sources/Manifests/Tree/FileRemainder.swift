/// The part of a file that is still to be read.
struct FileRemainder {
    let octets: ArraySlice<UInt8>
    var start = TextStart()

    /// The part from the first line `---` that is not above the faulty line and not the first line; nil if there is
    /// none.
    func afterSyntaxError(in faulty: Int) -> FileRemainder? {
        var line = start.linesBefore + 1
        var place = octets.startIndex
        while let end = octets[place...].firstIndex(of: UInt8(ascii: "\n")) {
            place = end + 1
            line += 1
            guard line >= faulty, Self.beginsDocument(octets[place...]) else { continue }
            return FileRemainder(octets: octets[place...], start: start(line: line, column: 1))
        }
        return nil
    }

    /// The part from the next JSON object on, if objects follow each other without `---`, as `jq` prints them and
    /// kubectl reads them.
    func nextOfJSON(after error: SyntaxError) -> FileRemainder? {
        let brace = UInt8(ascii: "{")
        guard error.code == "syntax", error.message.hasSuffix("<document start>"),
            octets.first(where: { $0 > UInt8(ascii: " ") }) == brace
        else { return nil }
        var place = octets.startIndex
        var left = error.charactersBefore
        while left > 0, place < octets.endIndex {
            place += 1
            // The octets of a character count with its first one.
            while place < octets.endIndex, octets[place] & 0xC0 == 0x80 { place += 1 }
            left -= 1
        }
        guard place > octets.startIndex, place < octets.endIndex, octets[place] == brace else { return nil }
        return FileRemainder(octets: octets[place...], start: start(line: error.line, column: error.column))
    }

    private func start(line: Int, column: Int) -> TextStart {
        TextStart(linesBefore: line - 1, columnsBefore: column - 1, hasStandIns: start.hasStandIns)
    }

    private static func beginsDocument(_ line: ArraySlice<UInt8>) -> Bool {
        guard line.starts(with: "---".utf8) else { return false }
        let after = line.startIndex + 3
        return after >= line.endIndex || line[after] <= UInt8(ascii: " ")
    }

    /// The lines of a document down to a faulty one.
    struct Lines {
        let text: ArraySlice<UInt8>
        /// The last line, and its number.
        let last: ArraySlice<UInt8>
        let number: Int
    }

    /// The document that has the faulty line; if that line begins another document too early, the one before.
    func document(to faulty: Int) -> Lines {
        var line = start.linesBefore + 1
        var (first, place) = (octets.startIndex, octets.startIndex)
        while line < faulty, let end = octets[place...].firstIndex(of: UInt8(ascii: "\n")) {
            if Self.beginsDocument(octets[(end + 1)...]) {
                if line + 1 == faulty { break }
                first = end + 1
            }
            place = end + 1
            line += 1
        }
        let last = octets[place...].prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
        return Lines(text: octets[first..<last.endIndex], last: last, number: line)
    }

    /// The whole document that has a faulty line.
    func document(around faulty: Int) -> ArraySlice<UInt8> {
        let lines = document(to: faulty)
        let end = afterSyntaxError(in: lines.number + 1)?.octets.startIndex ?? octets.endIndex
        return octets[lines.text.startIndex..<max(end, lines.text.endIndex)]
    }

    /// Whether the document is probably a Secret, of which nothing is quoted.
    func isSecret(near faulty: Int) -> Bool {
        let text = String(decoding: document(around: faulty), as: UTF8.self)
        return text.lowercased().contains("secret") || text.contains("stringData")
    }
}
