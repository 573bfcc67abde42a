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

    /// The comment above a line and its attributes, and the one behind it.
    private static func comment(above number: Int, in lines: [Substring]) -> String {
        let above = lines[..<number].reversed().map { $0.drop { $0 == " " } }
        let comment = above.drop { $0.hasPrefix("@") }.prefix { $0.hasPrefix("//") }.reversed()
        let behind = lines[number].firstRange(of: "    //").map { lines[number][$0.lowerBound...].drop { $0 == " " } }
        return (comment + [behind].compactMap(\.self)).map { $0.drop { $0 == "/" }.drop { $0 == " " } }
            .joined(separator: " ")
    }

    private static var aClass: Regex<Substring> { /^\s*(?:@\w+ |package |private |fileprivate )*final class \w+/ }

    /// Of a class that several threads touch, `Thread:` says which of them do what.
    @Test func `each class says whose thread it belongs to and what frees it`() {
        let classes = declarations { $0.has("final class ") && $0.contains(Self.aClass) }
        #expect(classes.count > 180)
        #expect(classes.count { $0.comment.hasPrefix("Thread: any") || $0.comment.contains(" Thread: any") } > 50)
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

    @Test func `each value that the compiler does not guard says why threads may have it`() {
        let values = declarations { $0.has("nonisolated(unsafe)") }
        #expect(values.count > 10)
        for found in values {
            #expect(
                found.comment.contains(/[Nn]ever changed|[Nn]ot changed|made once|one for the process|locked|are safe/),
                "\(found.place): the comment does not say why no two threads write it: \(found.text)")
        }
    }

    /// One that is owned by a `Descriptor` is closed by it.
    @Test func `each number of a descriptor says who closes it`() {
        let property = /^\s*(?:package |private |fileprivate )*(?:let|var) (?:\w*[dD]escriptor|fd|target): CInt\s*$/
        let numbers = declarations { $0.has(": CInt") && $0.contains(property) }
        #expect(numbers.count > 6)
        for found in numbers {
            #expect(
                found.comment.contains(/\bclose[sd]\b/), "\(found.place): who closes it? \(found.text)")
        }
    }

    /// Locks and atomics are `let`; what is left may be written by one thread.
    @Test func `each variable of a class that threads share says whose it is`() {
        var count = 0
        for file in tree.sources {
            var indent: Int?    // of the class
            for (number, line) in file.code.lines.enumerated() {
                let own = line.prefix { $0 == " " }.count
                if line.contains(Self.aClass) { indent = line.has("Sendable") ? own : indent }
                guard let outer = indent else { continue }
                if own == outer, line.dropFirst(own).hasPrefix("}") { indent = nil }
                guard own == outer + 4, line.contains(/^\s*(?:[\w()]+ )*var \w+/), !line.has("{") else { continue }
                count += 1
                let places = [number, Self.first(of: number, in: file.lines)]
                let comments = places.map { Self.comment(above: $0, in: file.lines) }
                let isSaid = comments.contains { $0.has("thread") || $0.has("locked") }
                #expect(isSaid, "\(file.path):\(number + 1): which thread writes it? \(line)")
            }
        }
        #expect(count > 2)
    }

    /// The first of the variables that stand together below one comment.
    private static func first(of number: Int, in lines: [Substring]) -> Int {
        var first = number
        while first > 0, lines[first - 1].contains(/^\s*(?:[\w()]+ )*var \w+/) { first -= 1 }
        return first
    }
}
