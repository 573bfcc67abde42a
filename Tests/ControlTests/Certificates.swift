import Support
import Testing

/// Self-signed certificates, made once for the run by the openssl command.
struct Certificates {
    let pem: [String: String]

    static let shared = Result { try Certificates() }

    private init() throws {
        let folder = TemporaryFolder()
        let names = ["one", "two"]
        for name in names {
            #expect(
                folder.run(
                    """
                    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
                    -keyout \(name).key -out \(name).pem -subj /CN=\(name) \
                    -addext subjectAltName=DNS:\(name).test
                    """), "the openssl command failed")
        }
        let files = names.flatMap { ["\($0).pem", "\($0).key"] }
        pem = Dictionary(uniqueKeysWithValues: files.map { ($0, String(decoding: folder.read($0), as: UTF8.self)) })
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
