import Testing

/// Whose an object is stands above it: a reader need not search.
@Suite struct Ownership {
    private let tree = SourceTree.shared

    /// A declaration with the comment above it.
    private struct Declared {
        let place: String
        let text: Substring
        let comment: String
    }

    /// The declarations of the sources that `isWanted` picks by their line of code.
    private func declarations(_ isWanted: (Substring) -> Bool) -> [Declared] {
        tree.sources.flatMap { file in
            let lines = file.lines
            return file.code.lines.enumerated().filter { isWanted($0.element) }.map { number, line in
                Declared(
                    place: "\(file.path):\(number + 1)", text: line, comment: Self.comment(above: number, in: lines))
            }
        }
    }

    /// The doc comment above a line and its attributes.
    private static func comment(above number: Int, in lines: [Substring]) -> String {
        let above = lines[..<number].reversed().map { $0.drop { $0 == " " } }
        let comment = above.drop { $0.hasPrefix("@") }.prefix { $0.hasPrefix("///") }
        return comment.reversed().map { $0.dropFirst(3).drop { $0 == " " } }.joined(separator: " ")
    }

    /// What two threads may touch says so by `Sendable`, and its comment says why; everything else has one thread.
    @Test func `each class that threads do not share says whose thread it belongs to and what frees it`() {
        let classes = declarations { line in
            line.has("final class ") && !line.has("Sendable")
                && line.contains(/^\s*(?:@\w+ |package |private |fileprivate )*final class \w+/)
        }
        #expect(classes.count > 80)
        for found in classes {
            #expect(
                found.comment.contains(/Thread: [^.]+\. Freed by: [^.]+\.$/),
                "\(found.place): end the comment by \"Thread: …. Freed by: ….\": \(found.text)")
        }
    }

    @Test func `each promise that the compiler does not check is proved`() {
        let promises = declarations { $0.has("@unchecked Sendable") }
        #expect(promises.count > 8)
        for found in promises {
            #expect(
                found.comment.contains("`Sendable` because "),
                "\(found.place): the comment does not say \"`Sendable` because …\": \(found.text)")
        }
    }
}
