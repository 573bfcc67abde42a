import Glibc
import Manifests

/// Where the test data lies, from this file's own path.
enum Fixtures {
    static let tests: String = {
        let parts = "\(#filePath)".split(separator: "/")
        return "/" + parts.dropLast(2).joined(separator: "/")
    }()

    static let seeds = tests + "/Fixtures/seeds"
    static let golden = tests + "/ManifestsTests/Golden"

    static func names(in folder: String) -> [String] {
        guard let stream = unsafe opendir(folder) else { return [] }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { raw in
                unsafe String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    static func octets(_ path: String) -> [UInt8] {
        guard let file = unsafe fopen(path, "r") else { return [] }
        defer { unsafe fclose(file) }
        var octets: [UInt8] = []
        while true {
            let part = unsafe [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
                count = unsafe fread(buffer.baseAddress, 1, 65536, file)
            }
            if part.isEmpty { return octets }
            octets += part
        }
    }

    static func write(_ text: String, to path: String) -> Bool {
        guard let file = unsafe fopen(path, "w") else { return false }
        defer { unsafe fclose(file) }
        return unsafe fputs(text, file) >= 0
    }

    static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }
}

/// Loads one text as the file `input.yaml`.
func load(_ text: String) -> ManifestSet {
    ManifestReader.load(sources: [("input.yaml", Array(text.utf8))])
}
