/// Finds comments of one line that have no word which is not in the declaration below, or in the name of its file.
///
/// Words are compared without their endings, and small words do not count. A comment that quotes something is not
/// looked at: it names what is outside of the code, such as a field.
enum RepeatedComments {
    private static let small: Set<String> = [
        "the", "a", "an", "of", "its", "it", "is", "are", "was", "were", "has", "have", "had", "whether", "that",
        "this", "to", "in", "for", "with", "and", "or", "by", "on", "all", "what", "which", "who", "how", "be", "been",
        "as", "at", "from", "there", "does", "do", "did", "will", "any", "no", "not", "one", "their", "they", "these",
        "those",
    ]
    private static let endings = ["ings", "ing", "ies", "ied", "es", "ed", "s", "e"]

    /// The numbers, from 1, of the lines of such comments.
    static func lines(of file: SourceTree.File) -> [Int] {
        let lines = file.lines.map { $0.drop { $0 == " " } }
        let own = words(file.path.split(separator: "/").last?.prefix { $0 != "." } ?? "")
        return lines.indices.dropLast().filter { number in
            guard lines[number].hasPrefix("/// "), number == 0 || !lines[number - 1].hasPrefix("///"),
                !lines[number].has("`"), !lines[number].has("_"), !lines[number + 1].hasPrefix("///"),
                let declaration = lines[(number + 1)...].first(where: { !$0.hasPrefix("@") || $0.has(" var ") })
            else { return false }
            let comment = words(lines[number].dropFirst(4), without: small)
            return comment.isSubset(of: words(declaration).union(own))
        }
        .map { $0 + 1 }
    }

    /// The words of a text, those of names in it apart, in lower case and without their endings.
    private static func words(_ text: Substring, without left: Set<String> = []) -> Set<String> {
        Set(
            text.matches(of: /[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+/).map { $0.output.lowercased() }
                .filter { !left.contains($0) }.map(stem))
    }

    private static func stem(_ word: String) -> String {
        let ending = endings.first { word.hasSuffix($0) && word.count - $0.count >= 3 } ?? ""
        return String(word.dropLast(ending.count))
    }
}
