import Glibc
import Manifests
import Routing

/// Where the test data lies, from this file's own path, and how it is loaded.
enum Fixtures {
    static let tests: String = {
        let parts = "\(#filePath)".split(separator: "/")
        return "/" + parts.dropLast(2).joined(separator: "/")
    }()

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

    static func text(_ path: String) -> String { String(decoding: octets(path), as: UTF8.self) }

    static func write(_ text: String, to path: String) -> Bool {
        guard let file = unsafe fopen(path, "w") else { return false }
        defer { unsafe fclose(file) }
        return unsafe fputs(text, file) >= 0
    }

    static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }

    /// Compares with a golden file, or rewrites it when `PORTICO_GOLDEN=write`.
    static func matchesGolden(_ found: String, _ name: String) -> Bool {
        let path = "\(tests)/RoutingTests/Golden/\(name)"
        if environment("PORTICO_GOLDEN") == "write" { return write(found, to: path) }
        return text(path) == found
    }
}
