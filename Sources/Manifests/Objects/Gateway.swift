/// A Gateway (networking.istio.io): the ports to listen on, and their hosts. Source: Istio `Gateway`.
package struct Gateway: Sendable {
    package let meta: ObjectMeta
    /// A workload must have all of these labels; empty selects every workload.
    package var selector: [String: String] = [:]
    package var servers: [Server] = []
    /// Whether a server was left out of `servers` because of an error.
    package var lacksServer = false
    /// Those servers with an error whose port and hosts could be read. No other server may serve their hosts.
    package var brokenServers: [Server] = []
    /// What stands in front of its ports, if an annotation says so.
    @Rare package var topology: Topology?

    /// One entry of `spec.servers`.
    package struct Server: Sendable {
        package let place: SourcePlace
        package let path: String
        package var name: String?
        package var port: Port
        /// An IP address or a `unix:` path; nil is every address.
        package var bind: Located<String>?
        package var hosts: [Host] = []
        package var defaultEndpoint: String?
        package var tls: TLS?
        /// Fields that are not in effect yet (protocol, TLS mode, redirects). The server must not be opened as a weaker
        /// one.
        package var closings: [ClosingField] = []
    }

    /// `port` of a server.
    package struct Port: Sendable {
        package var number: Located<Int>
        package var name: String
        package var `protocol`: PortProtocol
    }

    /// An entry of `servers[].hosts`: `host` or `namespace/host`.
    package struct Host: Sendable {
        package let place: SourcePlace
        package let path: String
        /// The namespace as it is written: nil or `*` is any namespace, `.` is the Gateway's own.
        package let namespace: String?
        package let host: String
    }

    /// `tls` of a server. Source: Istio `ServerTLSSettings`.
    package struct TLS: Sendable {
        package let place: SourcePlace
        package let path: String
        package var mode: Mode = .passthrough
        /// It has an effect only on a server in clear text.
        package var httpsRedirect = false
        package var serverCertificate: Located<String>?
        package var privateKey: Located<String>?
        package var caCertificates: Located<String>?
        package var caCrl: Located<String>?
        package var credentialName: Located<String>?
        package var credentialNames: [Located<String>] = []
        package var caCertCredentialName: Located<String>?
        package var tlsCertificates: [CertificateFiles] = []
        package var subjectAltNames: [String] = []
        package var verifyCertificateSpki: [String] = []
        package var verifyCertificateHash: [String] = []
        /// nil is automatic, which is 1.2.
        package var minVersion: TLSVersion?
        /// nil is automatic, which is 1.3.
        package var maxVersion: TLSVersion?
        package var cipherSuites: [Located<String>] = []
        package var insecureSkipVerify = false
        package var ecdhCurves: [String] = []

        /// The values of `tls.mode`.
        package enum Mode: String, Sendable, CaseIterable {
            case passthrough = "PASSTHROUGH"
            case simple = "SIMPLE"
            case mutual = "MUTUAL"
            case autoPassthrough = "AUTO_PASSTHROUGH"
            case istioMutual = "ISTIO_MUTUAL"
            case optionalMutual = "OPTIONAL_MUTUAL"
        }
    }

    /// An entry of `tlsCertificates`.
    package struct CertificateFiles: Sendable {
        package let place: SourcePlace
        package var serverCertificate: Located<String>
        package var privateKey: Located<String>
        package var caCertificates: Located<String>?
    }
}

/// The TLS versions of `minProtocolVersion` and `maxProtocolVersion`.
package enum TLSVersion: String, Sendable, CaseIterable {
    case tls10 = "TLSV1_0"
    case tls11 = "TLSV1_1"
    case tls12 = "TLSV1_2"
    case tls13 = "TLSV1_3"
}

/// The protocols of ports in Istio. Their names may be in any case.
package enum PortProtocol: String, Sendable, CaseIterable {
    case http = "HTTP"
    case http2 = "HTTP2"
    case grpc = "GRPC"
    case grpcWeb = "GRPC-WEB"
    case httpProxy = "HTTP_PROXY"
    case https = "HTTPS"
    case tls = "TLS"
    case tcp = "TCP"
    case mongo = "MONGO"
    case redis = "REDIS"
    case mysql = "MYSQL"
    case udp = "UDP"

    /// Whether it is HTTP in clear text. All versions of it mean the same on a server.
    package var isPlainHTTP: Bool {
        switch self {
        case .http, .http2, .grpc, .grpcWeb, .httpProxy: true
        case .https, .tls, .tcp, .mongo, .redis, .mysql, .udp: false
        }
    }

    /// Whether requests to a service port of this protocol are sent as HTTP/2.
    package var isHTTP2: Bool { self == .http2 || self == .grpc || self == .grpcWeb }
}
