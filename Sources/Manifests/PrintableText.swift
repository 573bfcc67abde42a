internal import JSON

extension String {
    /// The text on one line and without characters that a terminal acts on, as `check`, `routes` and the admin pages
    /// print it. They quote files, and the author of a file may be anyone.
    package var printable: String {
        guard unicodeScalars.contains(where: \.actsOnTerminals) else { return self }
        return unicodeScalars.map { $0.actsOnTerminals ? $0.escaped(asASCII: true) : String($0) }.joined()
    }
}
