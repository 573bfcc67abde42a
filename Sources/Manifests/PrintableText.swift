extension String {
    /// The text on one line and without what a terminal would act on, as `check`, `routes` and the admin
    /// pages print it: it quotes files, and files come from anybody.
    package var printable: String {
        guard unicodeScalars.contains(where: \.actsOnTerminals) else { return self }
        return unicodeScalars.map { $0.actsOnTerminals ? $0.escaped(asASCII: true) : String($0) }.joined()
    }
}

extension Unicode.Scalar {
    /// Controls, marks that turn the direction of a line, and what is not seen at all: with them a text
    /// shows itself as another one, or as a line of its own.
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
