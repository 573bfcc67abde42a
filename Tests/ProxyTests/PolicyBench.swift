import Octets
import Testing

@testable import Proxy

/// Sends one request through a worker whose one rule says something, and shows what each side gets.
struct PolicyBench {
    let bench: Bench
    private let server: Server

    /// - Parameter rule: what the rule says besides its destination, in YAML.
    init(_ rule: String, timeout: Duration? = nil) throws {
        bench = try Bench(timeout: timeout, rule: rule)
        server = try bench.server()
    }

    /// What the upstream gets of a request.
    func upstreamSees(_ target: String = "/", _ headers: String = "", method: String = "GET") throws -> String {
        let client = try bench.client(sending: Self.request(target, headers, method))
        let upstream = try #require(try server.accept(), "\(client.text())")
        defer { client.close() }
        return upstream.text()
    }

    /// What the client gets when the upstream answers.
    func clientSees(_ answer: String, _ headers: String = "", target: String = "/") throws -> String {
        let client = try bench.client(sending: Self.request(target, headers, "GET"))
        let upstream = try #require(try server.accept(), "\(client.text())")
        _ = upstream.text()
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\(answer)\r\n")
        bench.settle()
        return client.text()
    }

    /// What the client gets of the gateway itself.
    func answer(_ target: String = "/", _ headers: String = "", method: String = "GET") throws -> String {
        try bench.client(sending: Self.request(target, headers, method)).text()
    }

    private static func request(_ target: String, _ headers: String, _ method: String) -> String {
        "\(method) \(target) HTTP/1.1\r\nhost: a.com:8080\r\n\(headers)\r\n"
    }
}
