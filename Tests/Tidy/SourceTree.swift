import Glibc

/// The files git tracks, and what they say. Read once per run.
struct SourceTree {
    struct File {
        let path: String
        let text: String
        var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
        var isSwift: Bool { path.hasSuffix(".swift") }
        /// The module of `Sources/<module>/…` or `Tests/<module>/…`.
        var module: String {
            let parts = path.split(separator: "/")
            return parts.count > 2 ? String(parts[1]) : ""
        }
    }

    let files: [File]

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
    }

    /// What git says in the project's folder; empty where there is no git, or it fails.
    static func git(_ arguments: String) -> String {
        String(decoding: output(of: "cd '\(root)' && git \(arguments) 2>/dev/null"), as: UTF8.self)
    }

    var swift: [File] { files.filter(\.isSwift) }
    var sources: [File] { swift.filter { $0.path.hasPrefix("Sources/") } }

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
