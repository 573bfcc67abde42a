import Testing

/// The course of a request stands in code once and in the documents once: they must say the same.
@Suite struct `The documented course of a request` {
    @Test func `is the one in the code`() throws {
        let tree = SourceTree.shared
        let code = try #require(tree.files.first { $0.path == "Sources/Proxy/Exchange/Course.swift" })
        let page = try #require(tree.files.first { $0.path == "docs/architecture.md" })
        let steps = Self.steps(code.text)
        #expect(steps.count > 8, "no steps were found in the code")
        #expect(Self.quoted(page.text) == steps)
    }

    /// The cases of `enum Step` with their comments.
    private static func steps(_ text: String) -> [String] {
        let lines = text.split(separator: "\n").map(String.init)
        let body = lines.drop { !$0.hasPrefix("enum Step") }.dropFirst()
        return body.prefix { !$0.contains("The step that runs after") }.map { $0.trimmingPrefix("    ") }.map(
            String.init)
    }

    private static func quoted(_ text: String) -> [String] {
        let lines = text.split(separator: "\n").map(String.init)
        return Array(lines.drop { $0 != "```swift" }.dropFirst().prefix { $0 != "```" })
    }
}
