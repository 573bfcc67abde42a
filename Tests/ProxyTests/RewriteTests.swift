import HTTP
import Octets
import Testing

@testable import Proxy
@testable import Routing

/// Source: docs/istio.md, Rewrites.
@Suite struct `A rewrite` {
    private let prefix = "match: [{uri: {prefix: /a}}], "

    @Test(arguments: [
        ("match: [{uri: {prefix: /a}}], rewrite: {uri: /b}", "/a/x?q=1", "/b/x?q=1"),
        ("match: [{uri: {prefix: /a}}], rewrite: {uri: /b}", "/ab", "/bb"),
        ("match: [{uri: {prefix: /a/}}], rewrite: {uri: /}", "/a/x", "/x"),
        ("match: [{uri: {prefix: /a}}], rewrite: {uri: /}", "/a/x", "//x"),
        ("match: [{uri: {exact: /a}}], rewrite: {uri: /b}", "/a?q", "/b?q"),
        ("match: [{uri: {regex: '/a.*'}}], rewrite: {uri: /b}", "/axx?q", "/b?q"),
        ("rewrite: {uri: /b}", "/x", "/bx"),
        ("match: [{uri: {prefix: /A}, ignoreUriCase: true}], rewrite: {uri: /b}", "/a/x", "/b/x"),
        ("rewrite: {uriRegexRewrite: {match: '^/u/(\\d+)/(.*)', rewrite: '/\\2/\\1'}}", "/u/7/p?q", "/p/7?q"),
        ("rewrite: {uriRegexRewrite: {match: 'o', rewrite: '0'}}", "/foo/o?o", "/f00/0?o"),
        ("rewrite: {uriRegexRewrite: {match: 'x*', rewrite: '-'}}", "/ax", "/ax"),
        ("rewrite: {uriRegexRewrite: {match: '^/no', rewrite: /yes}}", "/x", "/x"),
    ])
    func `changes the path`(rule: String, target: String, wanted: String) throws {
        let bench = try PolicyBench(rule)
        if rule.contains("'x*'") {
            // A path that does not begin with a slash any more is not sent.
            #expect(try bench.answer(target).hasPrefix("HTTP/1.1 400 "))
            return
        }
        let request = try bench.upstreamSees(target)
        #expect(request.hasPrefix("GET \(wanted) HTTP/1.1\r\n"), "\(request)")
        #expect(request.contains("\r\nx-envoy-original-path: \(target)\r\n"), "\(request)")
    }

    @Test(arguments: ["rewrite: {authority: b.com}", "headers: {request: {set: {Host: b.com}}}"])
    func `changes the authority`(rule: String) throws {
        let request = try PolicyBench(rule).upstreamSees("/x")
        #expect(request.hasPrefix("GET /x HTTP/1.1\r\nhost: b.com\r\n"), "\(request)")
        #expect(request.contains("\r\nx-envoy-original-host: a.com:8080\r\n"), "\(request)")
    }

    @Test func `leaves the authority with its port otherwise`() throws {
        #expect(try PolicyBench("rewrite: {uri: /b}").upstreamSees().contains("\r\nhost: a.com:8080\r\n"))
    }

    /// What the client writes behind a prefix must not become a way out of where the rule leads.
    @Test(arguments: ["/a../secret", "/a..", "/a..?x", "/a.%2e/x", "/a../x/../y"])
    func `sends no dot segments that the client's path had not`(target: String) throws {
        let answer = try PolicyBench(prefix + "rewrite: {uri: /files/}").answer(target)
        #expect(answer.hasPrefix("HTTP/1.1 400 "), "\(target): \(answer)")
    }

    @Test(arguments: ["/x.y.x/secret", "/.xx./a", "/%x2e%x2e/a"])
    func `by an expression makes no dot segments either`(target: String) throws {
        let bench = try PolicyBench("rewrite: {uriRegexRewrite: {match: '[xy]', rewrite: ''}}")
        let answer = try bench.answer(target)
        #expect(answer.hasPrefix("HTTP/1.1 400 "), "\(target): \(answer)")
    }

    /// A path that is made of plain text in front of a path in its normal form is not looked at again.
    @Test func `that says that the form stays is right`() {
        var random = SystemRandomNumberGenerator()
        let parts = ["/", "/", ".", "..", "a", "b-", "%41", "%2e", "%2F", "?", "x_"]
        func text(_ count: Int) -> String {
            "/" + (0..<count).map { _ in parts.randomElement(using: &random) ?? "" }.joined()
        }
        var kept = 0
        for _ in 0..<20_000 {
            let (path, prefix) = (text(.random(in: 0..<8, using: &random)), text(.random(in: 0..<4, using: &random)))
            let block = HeaderBlock()
            guard case .normal = normalized(path, in: block) else { continue }
            let end = path.utf8.firstIndex(of: UInt8(ascii: "?")).map {
                path.utf8.distance(from: path.startIndex, to: $0)
            }
            let length = Int.random(in: 0...(end ?? path.utf8.count), using: &random)
            let buffer = OctetBuffer(capacity: 64)
            let outcome = unsafe Array(path.utf8).withUnsafeBytes {
                unsafe PathRewrite(prefix, matched: .prefix(length)).write(Octets($0), to: buffer)
            }
            guard outcome == .writtenInForm else { continue }
            kept += 1
            guard case .normal = PathNormalization.normalize(buffer.octets, in: block) else {
                Issue.record("\(prefix) for \(length) octets of \(path): \(buffer.octets.string)")
                continue
            }
        }
        #expect(kept > 100)
    }

    private func normalized(_ path: String, in block: HeaderBlock) -> PathNormalization.Verdict {
        let copy = unsafe Array(path.utf8).withUnsafeBytes { unsafe block.copy(Octets($0)) }
        return PathNormalization.normalize(copy, in: block)
    }

    @Test func `has a limit of octets and of time`() throws {
        let long = String(repeating: "b", count: 1000)
        let grows = try PolicyBench("rewrite: {uriRegexRewrite: {match: 'a', rewrite: \(long)}}")
        #expect(try grows.answer("/" + String(repeating: "a", count: 4000)).hasPrefix("HTTP/1.1 400 "))
        let slow = try PolicyBench("rewrite: {uriRegexRewrite: {match: '(?:[a-z]{0,40}x){8}', rewrite: z}}")
        #expect(try slow.answer("/" + String(repeating: "a", count: 30_000)).hasPrefix("HTTP/1.1 400 "))
    }
}
