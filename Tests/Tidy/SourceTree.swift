import Glibc

/// The files git tracks, and what they say. Each is read once per run, and so is what several rules derive of it.
struct SourceTree {
    struct File {
        let path: String
        let text: String
        let lines: [Substring]
        /// The code of a Swift file, without texts and comments; empty for another one.
        let code: SwiftText
        /// The functions of a Swift file.
        let functions: [FunctionSizes.Function]
        let isSwift: Bool
        /// The module of `Sources/<module>/…` or `Tests/<module>/…`.
        let module: String

        init(path: String, text: String) {
            self.path = path
            self.text = text
            let parts = path.split(separator: "/")
            module = parts.count > 2 ? String(parts[1]) : ""
            lines = text.linesOfText
            isSwift = path.hasSuffix(".swift")
            code = SwiftText(isSwift ? text : "")
            functions = FunctionSizes(code).functions
        }

        /// The types that are declared at the top of a Swift file and that others can use, in order.
        var topTypes: [Substring] {
            let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "actor", "typealias"]
            let others: Set<Substring> = ["import", "extension", "func", "let", "var", "private", "fileprivate"]
            return code.lines.compactMap { line in
                guard line.first != " " else { return nil }
                let words = line.split { !$0.isLetter && !$0.isNumber && $0 != "_" }
                guard let kind = words.firstIndex(where: kinds.union(others).contains),
                    kinds.contains(words[kind]), kind + 1 < words.count
                else { return nil }
                return words[kind + 1]
            }
        }
    }

    let files: [File]
    let swift: [File]
    /// The Swift files of the programs, without the tests.
    let sources: [File]

    static let shared = SourceTree(root: root)

    /// This file is `<root>/Tests/Tidy/SourceTree.swift`.
    private static var root: String {
        #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
    }

    private init(root: String) {
        let command = "cd '\(root)' && git ls-files --cached --others --exclude-standard -z"
        let paths = Self.output(of: command).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        files = paths.compactMap { path in
            Self.contents(of: root + "/" + path).map { File(path: path, text: String(decoding: $0, as: UTF8.self)) }
        }
        swift = files.filter(\.isSwift)
        sources = swift.filter { $0.path.hasPrefix("Sources/") }
    }

    /// What git says in the project's folder; empty where there is no git, or it fails.
    static func git(_ arguments: String) -> String {
        String(decoding: output(of: "cd '\(root)' && git \(arguments) 2>/dev/null"), as: UTF8.self)
    }

    private static func output(of command: String) -> [UInt8] {
        guard let stream = unsafe popen(command, "r") else { return [] }
        defer { unsafe pclose(stream) }
        return unsafe drain(stream)
    }

    private static func contents(of path: String) -> [UInt8]? {
        guard let stream = unsafe fopen(path, "r") else { return nil }
        defer { unsafe fclose(stream) }
        return unsafe drain(stream)
    }

    private static func drain(_ stream: UnsafeMutablePointer<FILE>) -> [UInt8] {
        var octets: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let taken = unsafe piece.withUnsafeMutableBytes {
                unsafe fread($0.baseAddress, 1, $0.count, stream)
            }
            if taken == 0 { return octets }
            octets += piece[..<taken]
        }
    }
}
