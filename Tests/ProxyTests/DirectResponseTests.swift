import HTTP
import Octets
import Testing

@testable import Proxy
@testable import Routing

/// Source: Istio `HTTPRoute.directResponse`.
@Suite struct `A rule that answers by itself` {
    private static let get = "GET /x HTTP/1.1\r\nhost: a\r\n\r\n"

    @Test func `asks no upstream`() throws {
        let bench = try Bench(rule: "directResponse: {status: 418, body: {string: 'short and stout'}}")
        let server = try bench.server()
        let client = try bench.client(sending: Self.get)
        let answer = client.text()
        #expect(answer.hasPrefix("HTTP/1.1 418 "), "\(answer)")
        #expect(answer.contains("\r\ncontent-length: 15\r\n") && answer.contains("\r\ncontent-type: text/plain\r\n"))
        #expect(answer.hasSuffix("\r\n\r\nshort and stout") && bench.active == 0)
        #expect(try server.accept() == nil)
        client.send(Self.get)
        bench.settle()
        #expect(client.text().hasPrefix("HTTP/1.1 418 "), "the connection is not kept")
    }

    @Test func `sends a body of any octets, and none to HEAD`() throws {
        let bench = try Bench(rule: "directResponse: {status: 200, body: {bytes: AP8K}}")
        #expect(try bench.client(sending: Self.get).octets().suffix(7) == [13, 10, 13, 10, 0, 255, 10])
        let head = try bench.client(sending: "HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").text()
        #expect(head.contains("\r\ncontent-length: 3\r\n") && head.hasSuffix("\r\n\r\n"))
    }

    @Test(arguments: [204, 304]) func `says no length where there is no body`(status: Int) throws {
        let answer = try reply("directResponse: {status: \(status)}", isGRPC: false)
        #expect(answer == [":status: \(status)"])
    }

    /// The fields of the answer of a rule, before those of the connection.
    private func reply(_ rule: String, isGRPC: Bool) throws -> [String] {
        let response = try #require(try RuleReading.extras(rule)?.directResponse)
        let situation = Situation.directResponse(response.status)
        let block = HeaderBlock()
        LocalReply(situation.outcome, isGRPC: isGRPC, bytes: response.body).write(to: block)
        return block.fields.map { "\($0.name.string): \($0.value.string)" }
    }

    @Test func `answers gRPC callers by a status`() throws {
        let rule = "directResponse: {status: 503, body: {string: \"down\\nfor a while\"}}"
        #expect(
            try reply(rule, isGRPC: true) == [
                ":status: 200", "content-type: application/grpc", "grpc-status: 14",
                "grpc-message: down%0Afor a while",
            ])
    }

    @Test func `sends a body larger than a window in parts`() throws {
        let body = String(repeating: "x", count: 90_000)
        let bench = try Bench(rule: "directResponse: {status: 200, body: {string: \(body)}}")
        let client = try bench.client(sending: Self.get)
        var octets = client.octets()
        for _ in 0..<20 {
            bench.settle()
            octets += client.octets()
        }
        #expect(octets.count > 90_000 && octets.last == UInt8(ascii: "x"))
    }
}
