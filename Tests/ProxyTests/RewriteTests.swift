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
        ("rewrite: {uriRegexRewrite: {match: '^/no', rewrite: /yes}}", "/x", "/x"),
    ])
    func `changes the path`(rule: String, target: String, wanted: String) throws {
        #expect(try made(rule, of: target) == wanted)
    }

    @Test func `leaves the authority with its port otherwise`() throws {
        let request = try PolicyBench(prefix + "rewrite: {uri: /b}").upstreamSees("/a/x?q=1")
        #expect(request.hasPrefix("GET /b/x?q=1 HTTP/1.1\r\n"), "\(request)")
        #expect(request.contains("\r\nx-envoy-original-path: /a/x?q=1\r\n"), "\(request)")
        #expect(request.contains("\r\nhost: a.com:8080\r\n"), "the authority stays")
    }

    @Test func `says why a path must not be sent`() {
        let (block, path): (HeaderBlock, Octets) = (HeaderBlock(), "/a/../b")
        for (outcome, words) in [(PathRewrite.Outcome.tooCostly, "take too long"), (.written, "dot segments")] {
            guard case .refused(let why) = Rewriting.made(outcome, path, in: block) else {
                Issue.record("\(outcome)")
                continue
            }
            #expect(why.contains(words))
        }
    }

    @Test func `whose path is refused is answered 400`() throws {
        #expect(try PolicyBench(prefix + "rewrite: {uri: /files/}").answer("/a../x").hasPrefix("HTTP/1.1 400 "))
    }

    /// What is sent in the place of a path; nil: nothing is.
    private func made(_ rule: String, of target: String) throws -> String? {
        let extras = try #require(try RuleReading.extras(rule))
        defer { withExtendedLifetime(extras) {} }
        let rewrite = try #require(extras.rewrite)
        let path = try #require(rewrite { $0.path })
        let (block, buffer) = (HeaderBlock(), OctetBuffer(capacity: 64))
        return target.withOctets { octets in
            switch Rewriting.made(path.write(octets, to: buffer), buffer.octets, in: block) {
            case .unchanged: target
            case .path(let path): path.string
            case .refused: nil
            }
        }
    }

    @Test(arguments: ["rewrite: {authority: b.com}", "headers: {request: {set: {Host: b.com}}}"])
    func `changes the authority`(rule: String) throws {
        let request = try PolicyBench(rule).upstreamSees("/x")
        #expect(request.hasPrefix("GET /x HTTP/1.1\r\nhost: b.com\r\n"), "\(request)")
        #expect(request.contains("\r\nx-envoy-original-host: a.com:8080\r\n"), "\(request)")
    }

    /// What the client writes behind a prefix must not become a way out of where the rule leads.
    @Test(arguments: ["/a../secret", "/a..", "/a..?x", "/a.%2e/x", "/a../x/../y"])
    func `sends no dot segments that the client's path had not`(target: String) throws {
        #expect(try made(prefix + "rewrite: {uri: /files/}", of: target) == nil)
    }

    @Test(arguments: ["/x.y.x/secret", "/.xx./a", "/%x2e%x2e/a"])
    func `by an expression makes no dot segments either`(target: String) throws {
        #expect(try made("rewrite: {uriRegexRewrite: {match: '[xy]', rewrite: ''}}", of: target) == nil)
    }

    @Test func `makes no path without a slash in front`() throws {
        #expect(try made("rewrite: {uriRegexRewrite: {match: 'x*', rewrite: '-'}}", of: "/ax") == nil)
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
        let grows = "rewrite: {uriRegexRewrite: {match: 'a', rewrite: \(long)}}"
        #expect(try made(grows, of: "/" + String(repeating: "a", count: 4000)) == nil)
        let slow = "rewrite: {uriRegexRewrite: {match: '(?:[a-z]{0,40}x){8}', rewrite: z}}"
        #expect(try made(slow, of: "/" + String(repeating: "a", count: 30_000)) == nil)
    }
}
