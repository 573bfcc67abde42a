extension String {
    /// The text on one line and without characters that a terminal acts on, as `check`, `routes` and the admin pages
    /// print it. They quote files, and the author of a file may be anyone.
    package var printable: String {
        guard unicodeScalars.contains(where: \.actsOnTerminals) else { return self }
        return unicodeScalars.map { $0.actsOnTerminals ? $0.escaped(asASCII: true) : String($0) }.joined()
    }
}

extension Unicode.Scalar {
    /// Whether it is a control character, sets the direction of text, or is invisible. With such characters a text can
    /// look like another one, or like a line of its own.
    var actsOnTerminals: Bool {
        switch value {
        case 0..<0x20, 0x7F...0x9F: true    // C0, DEL, C1
        case 0x61C, 0x200B...0x200F, 0x2028...0x202E: true    // marks and overrides of direction, lines
        case 0x2060...0x206F, 0xFEFF, 0xFFF9...0xFFFB: true    // isolates, joiners, annotations
        case 0xE0000...0xE007F: true    // tags
        default: false
        }
    }
}
