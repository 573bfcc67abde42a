package import Octets
internal import Reactor
internal import TLS

/// Where an API server is, and who the client is there. It names files and programs; they are read and run when a
/// connection is made, because certificates and tokens rotate.
package struct ClusterAccess: Sendable {
    /// Whose certificates the server may have.
    package enum Trust: Sendable, Equatable {
        case system
        /// PEM, one or several certificates.
        case pem([UInt8])
        case file(String)
        /// Any certificate (`insecure-skip-tls-verify`).
        case anything
    }

    /// The client's certificate with its key, both in PEM.
    package struct Identity: Sendable {
        /// The certificate and its intermediates.
        package var chain: IdentityPart
        package var key: IdentityPart

        package init(chain: IdentityPart, key: IdentityPart) {
            self.chain = chain
            self.key = key
        }
    }

    /// A text, or the path of the file that has it.
    package enum IdentityPart: Sendable {
        case text(SecretOctets)
        case file(String)
    }

    /// What requests are authorized with.
    package enum Credential: Sendable {
        case none
        case token(String)
        /// The file may be replaced at any time.
        case tokenFile(String)
        case plugin(ExecPlugin)
    }

    /// A name or an address, without brackets.
    package var host: String
    /// The port of the API server.
    package var port: UInt16
    /// In front of all paths, such as `/k8s/clusters/c-1`; empty for most servers.
    package var pathPrefix: String
    /// The name that the certificate must have.
    package var serverName: String
    /// Who must have issued the server's certificate.
    package var trust: Trust
    /// The certificate that is shown to the server; nil: none.
    package var identity: Identity?
    /// What requests prove their sender by.
    package var credential: Credential
    /// The namespace of the service account, or of the kubeconfig's context.
    package var namespace: String

    package init(
        host: String, port: UInt16, pathPrefix: String = "", serverName: String? = nil, trust: Trust,
        identity: Identity? = nil, credential: Credential = .none, namespace: String = "default"
    ) {
        self.host = host
        self.port = port
        self.pathPrefix = pathPrefix
        self.serverName = serverName ?? host
        self.trust = trust
        self.identity = identity
        self.credential = credential
        self.namespace = namespace
    }

    /// The largest file of a token or a certificate.
    static let mostFileOctets = 1 << 20

    /// Host and port, as in the `:authority` of requests.
    var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Why the API server cannot be called.
package struct AccessError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String
    /// The limit whose reaching is the reason; nil: it is none.
    let limit: ClusterLimit?

    /// - Parameter description: a sentence for the operator, without a secret.
    package init(_ description: String) { self.init(description, limit: nil) }

    init(_ description: String, limit: ClusterLimit?) {
        self.description = description
        self.limit = limit
    }
}

extension ClusterAccess {
    /// Where Kubernetes puts what a pod needs.
    /// Source: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/.
    package static let serviceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// The access that a pod has.
    /// - Parameters:
    ///   - environment: the process's variables.
    ///   - folder: where the service account's files are.
    package static func inCluster(
        environment: [String: String], folder: String = Self.serviceAccountFolder
    ) throws(AccessError) -> ClusterAccess {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty,
            let text = environment["KUBERNETES_SERVICE_PORT"], let port = UInt16(text, radix: 10), port > 0
        else {
            throw AccessError(
                "this is no pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT name no API server; "
                    + "outside a cluster give --kubeconfig FILE")
        }
        guard FileStamp("\(folder)/token") != nil else {
            throw AccessError(
                "there is no token of a service account at \(folder)/token; "
                    + "set automountServiceAccountToken: true for the pod")
        }
        let namespace = (try? FileContents.read("\(folder)/namespace", limitOctets: 1024)).map(TokenText.trimmed) ?? ""
        return ClusterAccess(
            host: host, port: port, trust: .file("\(folder)/ca.crt"), credential: .tokenFile("\(folder)/token"),
            namespace: namespace.isEmpty ? "default" : namespace)
    }
}

/// Reads tokens.
enum TokenText {
    /// The text without the spaces and line ends around it, such as an editor leaves at the end of a file.
    static func trimmed(_ octets: [UInt8]) -> String {
        let isSpace = { (octet: UInt8) in octet == 0x20 || (0x09...0x0D).contains(octet) }
        var text = octets.drop(while: isSpace)
        while let last = text.last, isSpace(last) { text.removeLast() }
        return String(decoding: text, as: UTF8.self)
    }

    /// A token that can be sent in a header field. Source: RFC 6750 §2.1.
    static func token(_ octets: [UInt8], from source: String) throws(AccessError) -> String {
        let text = trimmed(octets)
        guard !text.isEmpty else { throw AccessError("\(source) is empty, and should have a token") }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw AccessError("\(source) has no token: it has characters that a token cannot have")
        }
        return text
    }

    /// Reads a small text file, such as a token, without the blanks around it.
    static func read(_ path: String) throws(AccessError) -> String {
        let octets: [UInt8]
        do {
            octets = try FileContents.read(path, limitOctets: ClusterAccess.mostFileOctets)
        } catch {
            throw AccessError("\(error)")
        }
        return try token(octets, from: path)
    }
}
