import Testing

/// The course of a request stands in code once and in the documents once: they must say the same.
@Suite struct `The documented course of a request` {
    @Test func `is the one in the code`() throws {
        let tree = SourceTree.shared
        let code = try #require(tree.files.first { $0.path == "Sources/Proxy/Exchange/Step.swift" })
        let page = try #require(tree.files.first { $0.path == "docs/architecture.md" })
        let steps = Self.steps(code.text)
        #expect(steps.count > 8, "no steps were found in the code")
        #expect(Self.quoted(page.text) == steps)
    }

    /// The steps without an owner of their own stand below the course, so that a reader needs no other file.
    @Test func `has its steps in the file that runs them`() throws {
        let tree = SourceTree.shared
        let code = try #require(tree.files.first { $0.path == "Sources/Proxy/Exchange/Course.swift" })
        let names = code.text.matches(of: /case \.\w+: (\w+)\(\)/).map { String($0.1) }
        #expect(names.count > 6, "\(names)")
        for name in names { #expect(code.text.contains("func \(name)() -> StepEnd"), "\(name) is elsewhere") }
    }

    /// A reader who follows one call opens these files, and finds in each what the list names.
    @Test func `leads through at most six files, which have the functions that are named`() throws {
        let tree = SourceTree.shared
        let page = try #require(tree.files.first { $0.path == "docs/architecture.md" })
        let stations = Self.stations(page.text)
        #expect((3...6).contains(stations.count), "\(stations.count) files")
        for station in stations {
            let file = tree.files.first { $0.path == "Sources/" + station.path }
            let text = try #require(file, "\(station.path) is not there").text
            #expect(!station.functions.isEmpty, "\(station.path): no function is named")
            for name in station.functions {
                #expect(text.contains("func \(name)("), "\(station.path) has no \(name)")
            }
        }
    }

    /// Paths of files that documents name, and that are there.
    @Test func `stands among files that are there`() throws {
        let tree = SourceTree.shared
        let page = try #require(tree.files.first { $0.path == "docs/architecture.md" })
        let paths = page.text.matches(of: /`((?:\w+\/)+\w+\.swift)`/).map { String($0.1) }
        #expect(paths.count > 50)
        for path in paths {
            let isThere = ["Sources/", "Tests/", ""].contains { root in tree.files.contains { $0.path == root + path } }
            #expect(isThere, "docs/architecture.md names \(path)")
        }
    }

    /// The numbered list of files through which a call goes, with the functions that each line names.
    private static func stations(_ text: String) -> [(path: String, functions: [String])] {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let list = lines.drop { !$0.hasPrefix("One gRPC call goes through") }.dropFirst(2).prefix { !$0.isEmpty }
        let text = list.map { $0.first?.isNumber == true ? "\n" + $0 : $0 }.joined(separator: " ")
        return text.split(separator: "\n").compactMap { item in
            let words = item.matches(of: /`([^`]+)`/).map { String($0.1) }
            return words.first.map { ($0, Array(words.dropFirst())) }
        }
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
