internal import ArgumentParser
internal import FoundationEssentials
internal import Reactor
internal import TLS

struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Answers gRPC and HTTP requests by saying who answered, or with what came.",
        discussion: """
            Each listener speaks HTTP/2 with prior knowledge and HTTP/1.1. /helloworld.Greeter/SayHello \
            answers 'hostname:<hostname>, in:<name>, version:<version>'; every other gRPC method sends each \
            message back as it comes; any other request gets its head and body back as text. \
            Request headers (gRPC metadata) steer an answer:
              echo-sleep: 6s         wait first (ms, s, m)
              echo-status: 14        fail with that gRPC status; of a plain request: that HTTP status
              echo-message: text     the grpc-message beside it
              echo-stream: N         send N copies of the first message
              echo-size: OCTETS      pad each reply message (a plain body) to that size
              echo-headers: 1        return the request's headers as echo-<name>
              echo-reset: CODE       reset the stream with that HTTP/2 code (HTTP/1.1: the connection)
              echo-goaway: 1         send GOAWAY, then answer
            """)

    @Option(help: "Address and port to listen on; repeatable. Port 0 takes a free one.")
    var listen: [String]

    @Option(help: "The name to answer with. Default: the listener's address.")
    var hostname: String?

    @Option(help: "The version to answer with.")
    var version = "v1"

    @Option(help: "PEM file of a certificate chain; makes all listeners TLS.")
    var certificate: String?

    @Option(help: "PEM file of its private key.")
    var key: String?

    @Flag(help: "Print a line for each stream that a client resets.")
    var verbose = false

    func validate() throws {
        guard !listen.isEmpty else { throw ValidationError("--listen ADDRESS:PORT is missing") }
        guard (certificate == nil) == (key == nil) else {
            throw ValidationError("--certificate and --key go together")
        }
        for text in listen where HostAndPort(text) == nil {
            throw ValidationError("--listen \(text): write ADDRESS:PORT, for example 127.0.0.1:50051 or [::1]:50051")
        }
    }

    func run() throws {
        _ = Thread.raiseFileLimit()
        do {
            let server = try Server(tls: selector(), isVerbose: verbose)
            for text in listen {
                guard let place = HostAndPort(text), let address = place.address else { continue }
                let identity = Identity(hostname: hostname ?? place.host, version: version)
                let bound = try server.listen(address, identity: identity)
                StandardStream.output.line("portico-echo: \(identity.hostname) \(version) listens on \(bound)")
            }
            server.run()
        } catch {
            StandardStream.error.line("portico-echo: \(error)")
            throw ExitCode(1)
        }
    }

    private func selector() throws -> TLSSelector? {
        guard let certificate, let key else { return nil }
        let pair = TLSContext.Certificate(chain: try Self.contents(certificate), key: try Self.contents(key))
        return TLSSelector(chains: [(serverNames: [], context: try TLSContext(certificates: [pair]), number: 0)])
    }

    /// The contents of a file; throws with a message for the user.
    static func contents(_ path: String) throws -> [UInt8] {
        do {
            return [UInt8](try Data(contentsOf: URL(filePath: path)))
        } catch {
            throw ValidationError("cannot read \(path); check that the file is there and readable")
        }
    }
}

/// `ADDRESS:PORT` as it is written on the command line; the address may be a name.
struct HostAndPort {
    let host: String
    let port: UInt16

    init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...])
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        self.host = String(host)
        self.port = port
    }

    var address: SocketAddress? { SocketAddress(host: host, port: port) }
}
