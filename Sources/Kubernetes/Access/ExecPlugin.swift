internal import JSON
internal import Octets
internal import Reactor
internal import TLS

/// A program that makes credentials, such as a cloud's.
/// Source: https://kubernetes.io/docs/reference/config-api/client-authentication.v1/.
package struct ExecPlugin: Sendable, Equatable {
    /// `client.authentication.k8s.io/v1` or `…/v1beta1`.
    package var apiVersion: String
    /// A path, or a name that is looked for in `PATH`.
    package var command: String
    package var arguments: [String]
    /// Variables that the command gets besides those of this process.
    package var environment: [Variable]
    /// What to do when the program is not there.
    package var installHint: String
    /// Whether the program gets to know where the cluster is.
    package var tellsCluster: Bool
    /// Seconds that it may take.
    package var timeoutSeconds = 60

    /// A variable that the kubeconfig adds to the environment of the gateway, which the command inherits.
    package struct Variable: Sendable, Equatable {
        /// Without `=`; it takes the place of a variable of the gateway that has the same name.
        package let name: String
        /// Taken as it stands: nothing in it is expanded.
        package let value: String

        /// As an entry of the kubeconfig's `env` has them.
        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The versions of the plugins' interface that are understood.
    package static let versions = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"]
    private static let mostOctets = 1 << 20

    package init(
        apiVersion: String, command: String, arguments: [String] = [], environment: [Variable] = [],
        installHint: String = "", tellsCluster: Bool = false
    ) {
        self.apiVersion = apiVersion
        self.command = command
        self.arguments = arguments
        self.environment = environment
        self.installHint = installHint
        self.tellsCluster = tellsCluster
    }

    /// Blocks until the program has ended, or was ended for taking too long.
    func run(for access: ClusterAccess) throws(AccessError) -> PreparedCredential {
        var output: [UInt8]
        let variables = environment.map { (name: $0.name, value: $0.value) }
        do throws(ChildProcess.Failure) {
            output = try ChildProcess.run(
                command, arguments,
                environment: variables + [(name: "KUBERNETES_EXEC_INFO", value: information(access))],
                milliseconds: timeoutSeconds * 1000, limitOctets: Self.mostOctets)
        } catch {
            let hint = installHint.isEmpty ? "" : "; \(AnswerWords.printable(installHint))"
            let limit: ClusterLimit? =
                switch error {
                case .timedOut, .tooMuchOutput: .plugin
                case .notStarted, .failed, .killed: nil
                }
            throw AccessError("the credential plugin \(command): \(error)\(hint)", limit: limit)
        }
        defer { output.wipe() }
        return try credential(output)
    }

    /// The text of KUBERNETES_EXEC_INFO.
    func information(_ access: ClusterAccess) -> String {
        var cluster = ""
        if tellsCluster {
            var fields = ["\"server\":\(JSONQuotes.quoted("https://\(access.authority)\(access.pathPrefix)"))"]
            if access.serverName != access.host {
                fields.append("\"tls-server-name\":\(JSONQuotes.quoted(access.serverName))")
            }
            switch access.trust {
            case .anything: fields.append("\"insecure-skip-tls-verify\":true")
            case .pem(let text): fields.append("\"certificate-authority-data\":\"\(Self.base64(text))\"")
            case .file(let path):
                if let text = try? FileContents.read(path, limitOctets: ClusterAccess.mostFileOctets) {
                    fields.append("\"certificate-authority-data\":\"\(Self.base64(text))\"")
                }
            case .system: break
            }
            cluster = ",\"cluster\":{\(fields.joined(separator: ","))}"
        }
        return "{\"apiVersion\":\(JSONQuotes.quoted(apiVersion)),\"kind\":\"ExecCredential\","
            + "\"spec\":{\"interactive\":false\(cluster)}}"
    }

    /// Reads what the program wrote.
    func credential(_ output: [UInt8]) throws(AccessError) -> PreparedCredential {
        let read: Reading
        do throws(JSONError) {
            read = try Reading(output)
        } catch {
            throw AccessError("the credential plugin \(command) wrote no ExecCredential: \(error)")
        }
        guard read.apiVersion == apiVersion else {
            throw AccessError(
                "the credential plugin \(command) wrote an ExecCredential of "
                    + "\(AnswerWords.printable(read.apiVersion)), and the kubeconfig asks for \(apiVersion)")
        }
        var made = PreparedCredential()
        if let token = read.token { made.bearer = try TokenText.token(Array(token.utf8), from: "the plugin's token") }
        if let chain = read.chain, let key = read.key {
            made.identity = try ClusterAccess.pair(Array(chain.utf8), SecretOctets(copying: key.utf8))
        }
        guard made.bearer != nil || made.identity != nil else {
            throw AccessError("the credential plugin \(command) made neither a token nor a certificate with its key")
        }
        if let text = read.expiration {
            guard let second = Timestamp.seconds(text) else {
                throw AccessError("the credential plugin \(command): its expirationTimestamp is no time")
            }
            made.expiresAt = second
        }
        return made
    }

    private static func base64(_ octets: [UInt8]) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        text.reserveCapacity((octets.count + 2) / 3 * 4)
        for start in stride(from: 0, to: octets.count, by: 3) {
            let group = octets[start..<min(start + 3, octets.count)]
            let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for place in 0..<4 {
                text.append(place <= group.count ? digits[bits >> (18 - 6 * place) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// What is read of an ExecCredential.
    private struct Reading {
        var apiVersion = ""
        var token: String?
        var chain: String?
        var key: String?
        var expiration: String?

        init(_ octets: [UInt8]) throws(JSONError) {
            self = try JSONReader.read(octets) { (reader) throws(JSONError) in
                var reading = Reading()
                try reader.fields { (name, reader) throws(JSONError) in
                    if reader.equals(name, "apiVersion") {
                        reading.apiVersion = try reader.text() ?? ""
                    } else if reader.equals(name, "status") {
                        try reading.readStatus(&reader)
                    }
                }
                try reader.finish()
                return reading
            }
        }

        private init() {}

        private mutating func readStatus(_ reader: inout JSONReader) throws(JSONError) {
            var found = self
            try reader.fields { (name, reader) throws(JSONError) in
                if reader.equals(name, "token") {
                    found.token = try reader.text()
                } else if reader.equals(name, "clientCertificateData") {
                    found.chain = try reader.text()
                } else if reader.equals(name, "clientKeyData") {
                    found.key = try reader.text()
                } else if reader.equals(name, "expirationTimestamp") {
                    found.expiration = try reader.text()
                }
            }
            self = found
        }
    }
}

/// Points in time as Kubernetes writes them. Source: RFC 3339 §5.6.
enum Timestamp {
    /// Seconds since 1970 of `2026-11-26T13:01:35Z`, with or without a fraction, with any offset; nil for other texts.
    static func seconds(_ text: String) -> Int64? {
        let octets = Array(text.utf8)
        guard octets.count >= 20, octets[4] == 0x2D, octets[7] == 0x2D, octets[10] | 0x20 == UInt8(ascii: "t"),
            octets[13] == 0x3A, octets[16] == 0x3A, let year = number(octets[0..<4]),
            let month = number(octets[5..<7]), let day = number(octets[8..<10]), let hour = number(octets[11..<13]),
            let minute = number(octets[14..<16]), let second = number(octets[17..<19]),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second <= 60
        else { return nil }
        var rest = octets[19...]
        if rest.first == UInt8(ascii: ".") { rest = rest.dropFirst().drop { $0.isDigit } }
        guard let offset = offset(rest) else { return nil }
        return days(year, month, day) * 86_400 + Int64(hour * 3600 + minute * 60 + second) - offset
    }

    /// Seconds east of Greenwich.
    private static func offset(_ text: ArraySlice<UInt8>) -> Int64? {
        let octets = Array(text)
        if octets.count == 1, octets[0] | 0x20 == UInt8(ascii: "z") { return 0 }
        guard octets.count == 6, octets[0] == UInt8(ascii: "+") || octets[0] == UInt8(ascii: "-"), octets[3] == 0x3A,
            let hours = number(octets[1..<3]), let minutes = number(octets[4..<6])
        else { return nil }
        return Int64((hours * 60 + minutes) * 60) * (octets[0] == UInt8(ascii: "-") ? -1 : 1)
    }

    private static func number(_ octets: ArraySlice<UInt8>) -> Int? {
        guard octets.allSatisfy(\.isDigit) else { return nil }
        return octets.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    /// Days since 1970 in the Gregorian calendar: years begin in March, so that the leap day is the last.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let ofEra = shifted - era * 400
        let ofYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return Int64(era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468)
    }
}
