import Glibc
import Testing

/// A folder of one test's own; removed with it.
final class Folder {
    let path: String
    private var names: Set<String> = []

    init() throws {
        var template = Array("/tmp/portico-control-XXXXXX".utf8CString)
        let made = unsafe mkdtemp(&template)
        path = unsafe String(cString: try #require(made))
    }

    deinit {
        for name in names { _ = unsafe unlink(path + "/" + name) }
        _ = unsafe rmdir(path)
    }

    @discardableResult func write(_ name: String, _ text: String) -> String {
        names.insert(name)
        let whole = path + "/" + name
        guard let file = unsafe fopen(whole, "w") else { return whole }
        unsafe fputs(text, file)
        unsafe fclose(file)
        return whole
    }

    func remove(_ name: String) { _ = unsafe unlink(path + "/" + name) }

    func read(_ name: String) -> String {
        guard let file = unsafe fopen(path + "/" + name, "r") else { return "" }
        defer { unsafe fclose(file) }
        let octets = unsafe [UInt8](unsafeUninitializedCapacity: 65_536) { room, count in
            count = unsafe fread(room.baseAddress, 1, room.count, file)
        }
        return String(decoding: octets, as: UTF8.self)
    }

    /// Runs a shell script in the folder; what it makes goes away with the folder.
    func run(_ script: String, making made: [String]) throws {
        names.formUnion(made)
        let command = "cd '\(path)' && { \(script); } >/dev/null 2>&1"
        let stream = unsafe popen(command, "r")
        let running = unsafe try #require(stream)
        #expect(unsafe pclose(running) == 0, "the script failed")
    }
}

/// Self-signed certificates, made once for the run by the openssl command.
struct Certificates {
    let pem: [String: String]

    static let shared = Result { try Certificates() }

    private init() throws {
        let folder = try Folder()
        let names = ["one", "two"]
        for name in names {
            try folder.run(
                """
                openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
                -keyout \(name).key -out \(name).pem -subj /CN=\(name) \
                -addext subjectAltName=DNS:\(name).test
                """, making: ["\(name).key", "\(name).pem"])
        }
        let files = names.flatMap { ["\($0).pem", "\($0).key"] }
        pem = Dictionary(uniqueKeysWithValues: files.map { ($0, folder.read($0)) })
        #expect(pem.values.allSatisfy { $0.hasPrefix("-----BEGIN ") })
    }

    static func text(_ name: String) throws -> String { try #require(try shared.get().pem[name]) }

    /// A Secret as YAML, in the namespace `edge`.
    static func secret(_ name: String, _ certificate: String, key: String) throws -> String {
        let quoted = { (text: String) in "\"" + text.split(separator: "\n").joined(separator: "\\n") + "\"" }
        return """
            ---
            apiVersion: v1
            kind: Secret
            metadata: {name: \(name), namespace: edge}
            stringData:
              tls.crt: \(quoted(certificate))
              tls.key: \(quoted(key))

            """
    }
}
