import Testing

/// Each commit is one idea, whose message says why and how it was checked. Looked at are the commits since a fixed one,
/// because those before it had no such test. Without git, or in a shallow clone, nothing is looked at.
@Suite struct Commits {
    /// The last commit that is not looked at.
    private static let first = "ce78f96"
    /// From the one behind this on, the body says how the commit was checked in a sentence that begins `Checked`.
    private static let firstWithProof = "ef93600"

    @Test func `have a subject of at most 72 columns and a body`() {
        let messages = Self.messages(since: Self.first)
        // A commit that git does not know would make this a test of nothing.
        let isWhole = SourceTree.git("rev-parse --is-shallow-repository").hasPrefix("false")
        #expect(!messages.isEmpty || !isWhole, "git knows no commit \(Self.first)")
        for message in messages {
            #expect(message.fault == nil, "\(message.hash): \(message.subject)")
        }
    }

    @Test func `say how they were checked`() {
        for message in Self.messages(since: Self.firstWithProof) {
            #expect(message.hasProof, "\(message.hash): \(message.subject): no `Checked: …` in the body")
        }
    }

    @Test(arguments: [
        ("Subject\n\nBecause.\n\nChecked: tests.", true), ("Subject\n\nBecause. Checked by hand.", true),
        ("Checked\n\nBecause.", false), ("Subject\n\nUnchecked: all.", false),
        ("Subject\n\nChecked:", false), ("Subject\n\nChecked: see above.", false),
        ("Subject\n\nChecked: as above.", false), ("Subject\n\nChecked\nas before.", false),
        ("Subject\n\nChecked: follows with the next.", false), ("Subject\n\nChecked: it follows.", false),
        ("Subject\n\nChecked: See the commit before.", false), ("Subject\n\nChecked: likewise.", false),
        ("Subject\n\nChecked with the commits beside it.", false), ("Subject\n\nChecked: built with the next.", false),
        ("Subject\n\nChecked: Tidy. The guard is run again below.", false),
        ("Subject\n\nChecked: what follows a route, 3 tests.", true),
        ("Subject\n\nChecked: see above. Checked: Tidy.", true),
    ])
    func `are asked for their proof`(text: String, hasProof: Bool) {
        #expect(Message(hash: "", text: text).hasProof == hasProof)
    }

    @Test(arguments: [
        ("Subject\n\nBecause. Checked: tests.", nil), ("Subject", "no body"), ("Subject\n\n  \n", "no body"),
        ("Subject\nbody", "no empty line behind the subject"), ("One; two\n\nBody", "a semicolon joins two ideas"),
        (String(repeating: "a", count: 72) + "\n\nBody", nil),
        (String(repeating: "a", count: 73) + "\n\nBody", "too long"),
    ])
    func `are judged by their message`(text: String, fault: String?) {
        #expect(Message(hash: "", text: text).fault == fault)
    }

    struct Message {
        let hash: String
        let text: String
        var subject: Substring { text.prefix { $0 != "\n" } }

        /// Whether a sentence of the body begins with `Checked` and says something of this commit itself.
        var hasProof: Bool {
            let body = text.dropFirst(subject.count)
            return body.matches(of: /\bChecked\b/).contains { match in
                let rest = body[match.range.upperBound...].drop { $0 == ":" || $0.isWhitespace }
                return !rest.isEmpty && !Self.elsewhere.contains { rest.lowercased().hasPrefix($0) }
                    && !rest.contains(/(?i)\bbuilt with the next\b|\bwith the commits beside\b|\bagain below\b/)
            }
        }

        /// Beginnings of what points to another commit, or to a check that is not made yet.
        private static let elsewhere = [
            "see ", "as above", "as before", "as there", "as well", "above", "below", "likewise", "ditto", "later",
            "the same", "follows", "it follows", "to follow", "will follow",
        ]

        /// What is wrong with it; nil: nothing.
        var fault: String? {
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            if subject.count > 72 { return "too long" }
            if subject.contains(";") { return "a semicolon joins two ideas" }
            if lines.count > 1, !lines[1].allSatisfy(\.isWhitespace) { return "no empty line behind the subject" }
            return lines.dropFirst().contains { !$0.allSatisfy(\.isWhitespace) } ? nil : "no body"
        }
    }

    /// The messages of all commits behind that one, merges aside; none where git does not know it.
    private static func messages(since first: String) -> [Message] {
        let log = SourceTree.git("log --no-merges --format='%h%n%B%x00' \(first)..HEAD")
        return log.split(separator: "\0").compactMap { record in
            let lines = record.drop { $0 == "\n" }
            guard let end = lines.firstIndex(of: "\n") else { return nil }
            return Message(hash: String(lines[..<end]), text: String(lines[end...].dropFirst()))
        }
    }
}
