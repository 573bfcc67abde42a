internal import ArgumentParser
internal import HTTP
internal import Manifests
internal import Octets
internal import Routing

struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print where a request would go, and each rule that it was compared with.",
        discussion: """
            Exit status: 0 the request is served, 1 the gateway refuses it (no listener, no rule, no endpoint), 2 \
            could not run. Nothing is sent: this reads the definitions.
            """)

    @Argument(
        help: """
            The request's URL, such as https://shop.example.com/shop.Cart/Add. Its port is the port of a Gateway's \
            server; default: 80, or 443 for https.
            """)
    var url: String

    @Argument(help: "Files, folders (*.yaml, *.yml, *.json, recursively) or - for standard input.")
    var paths: [String] = []

    @Option(name: [.customShort("H"), .long], help: "A header of the request, 'name: value' (repeatable).")
    var header: [String] = []

    @Option(name: [.customShort("X"), .long], help: "The method; default: GET, with --grpc POST.")
    var method: String?

    @Flag(help: "The request is a gRPC call.")
    var grpc = false

    @Option(help: "The TLS server name, if it is not the URL's host; '' for TLS without a name.")
    var serverName: String?

    @Flag(help: "The request arrives at the mesh listener (serve --mesh).")
    var mesh = false

    @Option(help: "text or json.")
    var output = OutputForm.text

    @OptionGroup var definitions: Definitions

    @OptionGroup(title: "Kubernetes") var cluster: ClusterOptions

    func validate() throws {
        guard !paths.isEmpty || cluster.isGiven else {
            throw ValidationError("nothing to read; name files or folders, or a cluster by --kubeconfig FILE")
        }
        _ = try target()
        _ = try headers()
    }

    func run() throws {
        let target = try target()
        let request = TextRequest(
            path: target.path, authority: target.authority, method: method ?? (grpc ? "POST" : "GET"),
            scheme: target.isTLS ? "https" : "http", headers: try headers())
        let (set, plan, endpoints) = try definitions.load(paths, cluster)
        guard !set.couldNotRead else {
            print(set.diagnostics.text, terminator: "")
            throw ExitStatus.couldNotRun
        }
        let name = target.isTLS ? serverName ?? target.serverName : nil
        let entrance = Entrance(port: target.port, serverName: name, isMesh: mesh)
        let found = plan.explain(request, at: entrance, endpoints: endpoints)
        print(output == .json ? found.json : found.text, terminator: "")
        if !found.isServed { throw ExitStatus.problems }
    }

    private func target() throws -> RequestTarget {
        guard let target = RequestTarget(url) else {
            throw ValidationError("\(url): write a URL, such as https://shop.example.com/shop.Cart/Add")
        }
        guard serverName == nil || target.isTLS else {
            throw ValidationError("--server-name is for https: a connection in clear text has no TLS server name")
        }
        return target
    }

    private func headers() throws -> [(name: String, value: String)] {
        let ofCall = grpc ? [(name: "content-type", value: "application/grpc"), (name: "te", value: "trailers")] : []
        return try ofCall
            + header.map { text in
                let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2, !parts[0].isEmpty else {
                    throw ValidationError("--header \(text): write 'name: value', such as 'version: 200'")
                }
                return (name: String(parts[0]), value: String(parts[1].drop { $0 == " " }))
            }
    }
}

/// The parts of a URL that routing looks at. Source: RFC 3986 §3.
struct RequestTarget {
    let isTLS: Bool
    /// As a client sends it: with the port only if the URL has one.
    let authority: String
    let port: UInt16
    /// With its query, in the form that the gateway makes of it.
    let path: String
    /// The name that a client says in its TLS handshake: none for an address (RFC 6066 §3).
    let serverName: String

    /// Takes a URL apart; nil if it is none of http or https, or if the gateway would refuse its path.
    init?(_ url: String) {
        let schemes = [("https://", true, 443 as UInt16), ("http://", false, 80)]
        guard let scheme = schemes.first(where: { url.lowercased().hasPrefix($0.0) }) else { return nil }
        isTLS = scheme.1
        let rest = url.dropFirst(scheme.0.count)
        let named = rest.prefix { !"/?#".contains($0) }
        let bracket = named.lastIndex(of: "]")
        let colon = named.lastIndex(of: ":").flatMap { $0 < bracket ?? named.startIndex ? nil : $0 }
        let host = named[..<(colon ?? named.endIndex)]
        let digits = colon.map { named[named.index(after: $0)...] }
        guard !host.isEmpty, !named.contains("@"), let path = Self.normal(rest[named.endIndex...]) else { return nil }
        guard let port = digits.map({ UInt16($0) }) ?? scheme.2, port > 0 else { return nil }
        let isAddress = bracket != nil || host.allSatisfy { $0 == "." || $0.isNumber }
        authority = String(named)
        self.port = port
        self.path = path
        serverName = isAddress ? "" : String(host)
    }

    private static func normal(_ written: Substring) -> String? {
        let text = written.hasPrefix("/") ? String(written) : "/" + written
        let block = HeaderBlock()
        return text.withOctets { octets in
            switch PathNormalization.normalize(octets, in: block) {
            case .normal: octets.string
            case .changed(let changed): changed.string
            case .refused: nil
            }
        }
    }
}
