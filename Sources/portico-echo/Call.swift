internal import ArgumentParser
internal import HTTP
internal import Octets
internal import Reactor
internal import TLS

struct Call: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes calls and counts who answered.",
        discussion: """
            URL is grpc://HOST:PORT (HTTP/2 with prior knowledge), grpcs://HOST:PORT (TLS), http:// or https://. \
            gRPC calls send HelloRequest{name}; the others GET the URL's path. A backend is known by the response \
            header x-echo-host, or by 'hostname:…' in a HelloReply. Exit 0 when every call had the expected status.
            """)

    @Argument(help: "For example grpc://127.0.0.1:50051.")
    var url: String

    @Option(name: .customShort("n"), help: "How many calls.")
    var calls = 1

    @Option(name: .customShort("c"), help: "How many of them at once.")
    var concurrency = 1

    @Option(help: "How many connections they share. HTTP/1.1 has one call at a time on each.")
    var connections = 1

    @Option(name: .customShort("H"), help: "A request header, 'name: value'; repeatable.")
    var header: [String] = []

    @Option(help: "PEM file of the certificate authority to trust instead of the system's.")
    var cacert: String?

    @Flag(help: "Do not check the server's certificate.")
    var insecure = false

    @Option(help: "The name in HelloRequest.")
    var name = "world"

    @Option(help: "The gRPC method. Default: the URL's path, else /helloworld.Greeter/SayHello.")
    var method: String?

    @Option(help: "A call's deadline, for example 5s; gRPC sends it as grpc-timeout. Default: 60s, not sent.")
    var timeout: String?

    @Option(help: "Instead of the URL's HOST:PORT, in requests and, without the port, in TLS.")
    var authority: String?

    @Option(help: "The status every call must have: of gRPC (default 0) or of HTTP (default 200).")
    var expectStatus: Int?

    @Flag(help: "Each call says a name of its own, and its reply must have it: one of another call's is an error.")
    var checkReplies = false

    func validate() throws {
        guard Target(url) != nil else {
            throw ValidationError("\(url): write grpc://HOST:PORT, grpcs://, http:// or https://")
        }
        guard (1...10_000_000).contains(calls), (1...10_000).contains(concurrency), (1...1000).contains(connections)
        else { throw ValidationError("-n is at most 10000000, -c at most 10000, --connections at most 1000") }
        for text in header where ExtraHeader(text) == nil {
            throw ValidationError("-H '\(text)': write 'name: value'")
        }
        if let timeout, Self.duration(timeout) == nil {
            throw ValidationError("--timeout \(timeout): write a number and ms, s or m, for example 500ms")
        }
        if let method, !method.hasPrefix("/") { throw ValidationError("--method begins with a slash") }
    }

    func run() throws {
        _ = Thread.raiseFileLimit()
        do {
            let order = try makeOrder()
            let caller = try Caller(order, context: try context(order), addresses: addresses(order.target))
            caller.run()
            StandardStream.output.line(caller.report.text(of: order))
            guard caller.report.isAsExpected(order) else { throw ExitCode(1) }
        } catch let code as ExitCode {
            throw code
        } catch {
            StandardStream.error.line("portico-echo: \(error)")
            throw ExitCode(2)
        }
    }

    private func makeOrder() throws -> Order {
        guard let target = Target(url) else { throw ExitCode(2) }
        let path = target.path.count > 1 ? target.path : target.isGRPC ? "/helloworld.Greeter/SayHello" : "/"
        return Order(
            target: target, path: method ?? path, authority: authority ?? target.authority,
            headers: header.compactMap { ExtraHeader($0) }, name: name, calls: calls,
            concurrency: min(concurrency, calls), connections: connections,
            timeout: timeout.flatMap { Self.duration($0) }, expectedStatus: expectStatus ?? (target.isGRPC ? 0 : 200),
            checksReplies: checkReplies)
    }

    private func context(_ order: Order) throws -> TLSClientContext? {
        guard order.target.isSecure else { return nil }
        return try TLSClientContext(
            trusted: try cacert.map { try Serve.contents($0) }, verifiesPeer: !insecure,
            protocols: order.target.isGRPC ? ["h2"] : ["h2", "http/1.1"])
    }

    private func addresses(_ target: Target) throws -> [SocketAddress] {
        if let address = SocketAddress(host: target.host, port: target.port) { return [address] }
        return try Resolver.addresses(of: target.host).compactMap { SocketAddress(host: $0, port: target.port) }
    }

    private static func duration(_ text: String) -> Duration? {
        let block = HeaderBlock()
        block.append("timeout", text: text)
        return block.first(named: "timeout").flatMap { Plan.duration($0) }
    }
}

/// The work of one run of `call`.
struct Order {
    let target: Target
    let path: String
    let authority: String
    let headers: [ExtraHeader]
    let name: String
    let calls: Int
    let concurrency: Int
    let connections: Int
    let timeout: Duration?
    /// The status that counts as success: 200, or what `--expect` says.
    let expectedStatus: Int
    /// Whether each call has a name of its own, which its reply must have.
    let checksReplies: Bool

    /// What the call of that number says: `name`, or a name that no other call of any run has.
    func name(of number: Int) -> String { checksReplies ? "\(name)-\(Self.run)-\(number)" : name }

    private static let run = String(UInt64.random(in: .min ... .max), radix: 36)
}
