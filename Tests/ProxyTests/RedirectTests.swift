import Octets
import Testing

@testable import Proxy

/// Source: docs/istio.md, Redirects. The bench's listener is in clear text; its Gateway's port is 80.
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
        let answer = try PolicyBench("redirect: \(rule)").answer(target)
        #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer)")
        #expect(answer.contains("\r\nlocation: \(location)\r\n"), "\(answer)")
        #expect(answer.contains("\r\ncontent-length: 0\r\n"))
    }

    @Test func `drops the port that is the default of the scheme which it leaves`() throws {
        let bench = try Bench(rule: "redirect: {scheme: https}")
        for (host, location) in [
            ("a.com:80", "https://a.com/"), ("[::1]:80", "https://[::1]/"), ("[::1]", "https://[::1]/"),
        ] {
            let answer = try bench.client(sending: "GET / HTTP/1.1\r\nhost: \(host)\r\n\r\n").text()
            #expect(answer.contains("\r\nlocation: \(location)\r\n"), "\(answer)")
        }
    }

    @Test func `of a prefix replaces it`() throws {
        let bench = try PolicyBench("match: [{uri: {prefix: /old}}], redirect: {prefixRewrite: /new}")
        #expect(try bench.answer("/old/x?q").contains("\r\nlocation: http://a.com:8080/new/x?q\r\n"))
    }

    @Test func `has the header operations of its rule`() throws {
        let answer = try PolicyBench(
            "redirect: {uri: /n}, headers: {response: {set: {x-to: '%RESP(location)%', location: ''}, remove: [x]}}"
        ).answer()
        #expect(answer.contains("\r\nx-to: http://a.com:8080/n\r\n"), "\(answer)")
    }
}
