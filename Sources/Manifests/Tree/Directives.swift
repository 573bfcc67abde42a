/// Limits directives, which are lines that begin with `%` before a document. libyaml compares each with all earlier
/// ones and writes a tag's prefix before every tag, so 5 MB of them took minutes. Objects need none, so a document may
/// have only a few short ones.
enum Directives {
    static let maximum = 8
    static let maximumOctets = 256
    private static let percent = UInt8(ascii: "%")

    /// Where the first directive begins that is too long or one too many; nil if there is none.
    static func firstExcess(in octets: ArraySlice<UInt8>) -> Int? {
        var count = 0
        var last = octets.startIndex
        // Every file comes here, so each octet is read only once.
        let span = octets.span
        for index in 0..<span.count where span[index] == percent {
            let place = octets.startIndex + index
            guard index == 0 || span[index - 1] < 0x20 || span[index - 1] > 0x7E, beginsLine(octets, place) else {
                continue
            }
            defer { last = place + 1 }
            if beginsDocument(octets[last..<place]) { count = 0 }
            count += 1
            if count > maximum || length(octets[place...]) > maximumOctets { return place }
        }
        return nil
    }

    /// Whether a place is after a line break of YAML, or at the start, where a byte order mark may precede it.
    private static func beginsLine(_ octets: ArraySlice<UInt8>, _ place: Int) -> Bool {
        let before = octets[..<place].suffix(3)
        guard let last = before.last else { return true }
        if last == 0x0A || last == 0x0D { return true }
        return [[0xC2, 0x85], [0xE2, 0x80, 0xA8], [0xE2, 0x80, 0xA9], [0xEF, 0xBB, 0xBF]].contains {
            before.suffix($0.count).elementsEqual($0)
        }
    }

    private static func beginsDocument(_ octets: ArraySlice<UInt8>) -> Bool {
        var rest = octets
        while let end = rest.firstIndex(of: 0x0A) {
            rest = rest[(end + 1)...]
            if rest.starts(with: "---".utf8) { return true }
        }
        return false
    }

    private static func length(_ line: ArraySlice<UInt8>) -> Int {
        line.prefix(maximumOctets + 1).prefix { $0 != 0x0A && $0 != 0x0D }.count
    }
}

/// Reads files in UTF-16, which some shells of Windows write.
enum UTF16Text {
    /// The text in UTF-8; nil if no byte order mark says that it is UTF-16.
    static func inUTF8(_ octets: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        let mark = octets.prefix(2)
        let isLittle = mark.elementsEqual([0xFF, 0xFE])
        guard isLittle || mark.elementsEqual([0xFE, 0xFF]) else { return nil }
        let start = octets.startIndex + 2
        let units = stride(from: start, to: octets.endIndex - 1, by: 2).map { index in
            let (first, second) = (UInt16(octets[index]), UInt16(octets[index + 1]))
            return isLittle ? second << 8 | first : first << 8 | second
        }
        return Array(String(decoding: units, as: UTF16.self).utf8)[...]
    }
}
