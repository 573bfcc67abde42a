import Glibc

extension StringProtocol {
    /// Whether a text is in it, octet by octet: in a debug build, a search by characters takes a hundred times as long.
    func has(_ text: String) -> Bool { has(octets: Array(text.utf8)) }

    /// Whether one of the texts is in it, octet by octet.
    func has(oneOf texts: [String]) -> Bool { texts.contains(where: has) }

    private func has(octets text: [UInt8]) -> Bool {
        guard let first = text.first else { return true }
        return utf8.withContiguousStorageIfAvailable { octets in
            var rest = UnsafeRawBufferPointer(octets)
            while rest.count >= text.count, let start = rest.baseAddress,
                let found = unsafe memchr(start, CInt(first), rest.count - text.count + 1)
            {
                if unsafe memcmp(found, text, text.count) == 0 { return true }
                unsafe rest = UnsafeRawBufferPointer(rebasing: rest[(UnsafeRawPointer(found) - start + 1)...])
            }
            return false
        } ?? String(self).has(octets: text)
    }

    /// Its lines; one that ends the text is empty.
    var linesOfText: [Substring] {
        let text = String(self)
        let octets = Array(text.utf8)
        var lines: [Substring] = []
        var start = text.utf8.startIndex
        var first = 0
        for place in octets.indices where octets[place] == UInt8(ascii: "\n") {
            let end = text.utf8.index(start, offsetBy: place - first)
            lines.append(text[start..<end])
            start = text.utf8.index(after: end)
            first = place + 1
        }
        return lines + [text[start...]]
    }
}
