import HTTP
import Octets
import Testing

@testable import Proxy
@testable import Routing

/// Source: docs/istio.md, Redirects. The listener is in clear text; its Gateway's port is 80.
@Suite struct `A redirect` {
    @Test(arguments: [
        ("{uri: /new}", "/old?q=1", "301", "http://a.com:8080/new?q=1"),
        ("{uri: '/new?r'}", "/old?q=1", "301", "http://a.com:8080/new?r"),
        ("{scheme: https, redirectCode: 308}", "/x?y", "308", "https://a.com:8080/x?y"),
        ("{port: 8443, scheme: https}", "/x", "301", "https://a.com:8443/x"),
        ("{port: 443, scheme: https}", "/x", "301", "https://a.com/x"),
        ("{authority: b.com}", "/x", "301", "http://b.com/x"),
        ("{authority: b.com, port: 8080, redirectCode: 307}", "/x", "307", "http://b.com:8080/x"),
        ("{authority: b.com, derivePort: FROM_REQUEST_PORT}", "/x", "301", "http://b.com/x"),
        ("{scheme: https, derivePort: FROM_REQUEST_PORT}", "/x", "301", "https://a.com:80/x"),
        ("{prefixRewrite: /n, redirectCode: 302}", "/old", "302", "http://a.com:8080/nold"),
        ("{uri: /new, redirectCode: 303}", "/../a/%2e%2e/x", "303", "http://a.com:8080/new"),
        ("{scheme: https}", "//evil.com/..", "301", "https://a.com:8080//"),
    ])
    func `says where to go`(rule: String, target: String, status: String, location: String) throws {
        #expect(try redirect("redirect: \(rule)", target) == "\(status) \(location)")
    }

    /// Status and location of the answer to a request.
    private func redirect(_ rule: String, _ target: String, host: String = "a.com:8080") throws -> String {
        let redirect = try #require(try RuleReading.extras(rule)?.redirect)
        let (block, buffer) = (HeaderBlock(), OctetBuffer(capacity: 64))
        let path = target.withOctets { block.copy($0) }
        let isWritten = host.withOctets { authority in
            let form = Self.normal(path, in: block)
            return redirect.write(
                for: Redirect.Request(scheme: "http", authority: authority, path: form, port: 80), to: buffer)
        }
        #expect(isWritten)
        return "\(redirect.status) \(buffer.octets.string)"
    }

    private static func normal(_ path: Octets, in block: HeaderBlock) -> Octets {
        if case .changed(let changed) = PathNormalization.normalize(path, in: block) { changed } else { path }
    }

    @Test func `is the whole answer, with the header operations of its rule`() throws {
        let answer = try PolicyBench(
            "redirect: {uri: /new}, headers: {response: {set: {x-to: '%RESP(location)%', location: ''}, remove: [x]}}"
        ).answer("/old?q=1")
        #expect(answer.hasPrefix("HTTP/1.1 301 "), "\(answer)")
        #expect(answer.contains("\r\nlocation: http://a.com:8080/new?q=1\r\n"), "\(answer)")
        #expect(answer.contains("\r\nx-to: http://a.com:8080/new?q=1\r\n"), "\(answer)")
        #expect(answer.contains("\r\ncontent-length: 0\r\n"))
    }

    @Test func `drops the port that is the default of the scheme which it leaves`() throws {
        for (host, location) in [
            ("a.com:80", "https://a.com/"), ("[::1]:80", "https://[::1]/"), ("[::1]", "https://[::1]/"),
        ] {
            #expect(try redirect("redirect: {scheme: https}", "/", host: host) == "301 \(location)")
        }
    }

    @Test func `of a prefix replaces it`() throws {
        let rule = "match: [{uri: {prefix: /old}}], redirect: {prefixRewrite: /new}"
        #expect(try redirect(rule, "/old/x?q") == "301 http://a.com:8080/new/x?q")
    }
}
