internal import Glibc

/// Files of tests and the environment that they run in.
package enum TestFiles {
    /// The folder `Tests`, from this file's own path.
    package static let tests: String = {
        let parts = "\(#filePath)".split(separator: "/")
        return "/" + parts.dropLast(2).joined(separator: "/")
    }()

    /// The names in a folder, hidden ones too, sorted; empty when it cannot be read.
    package static func names(in folder: String) -> [String] {
        guard let stream = unsafe opendir(folder) else { return [] }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { raw in
                unsafe String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// A file's content; empty when it cannot be read.
    package static func octets(_ path: String) -> [UInt8] {
        guard let file = unsafe fopen(path, "r") else { return [] }
        defer { unsafe fclose(file) }
        var octets: [UInt8] = []
        while true {
            let part = unsafe [UInt8](unsafeUninitializedCapacity: 65_536) { room, count in
                count = unsafe fread(room.baseAddress, 1, 65_536, file)
            }
            if part.isEmpty { return octets }
            octets += part
        }
    }

    package static func text(_ path: String) -> String { String(decoding: octets(path), as: UTF8.self) }

    /// - Returns: whether all of it was written.
    package static func write(_ text: String, to path: String) -> Bool {
        guard let file = unsafe fopen(path, "w") else { return false }
        let isWritten = unsafe fputs(text, file) >= 0
        return unsafe fclose(file) == 0 && isWritten
    }

    /// Removes a folder and all that is in it; links are not followed.
    package static func removeFolder(_ path: String) {
        for name in names(in: path) {
            let child = path + "/" + name
            if unsafe unlink(child) != 0 { removeFolder(child) }
        }
        _ = unsafe rmdir(path)
    }

    /// A variable of the environment.
    package static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }

    /// Compares a text with a file that lies beside the tests, or writes the file when `PORTICO_GOLDEN=write`.
    package static func matches(_ found: String, golden path: String) -> Bool {
        if environment("PORTICO_GOLDEN") == "write" { return write(found, to: path) }
        return text(path) == found
    }
}
