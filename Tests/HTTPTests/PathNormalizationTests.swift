import HTTP
import Octets
import Testing

@Suite struct `Path normalisation` {
    /// The path in its normal form; nil when it is refused.
    private func normal(_ path: String) -> String? {
        withOctets(path) { octets in
            let headers = HeaderBlock()
            switch PathNormalization.normalize(octets, in: headers) {
            case .normal: return path
            case .refused: return nil
            case .changed(let changed):
                if changed == octets { Issue.record("\(path) did not change") }
                return changed.string
            }
        }
    }

    @Test(arguments: [
        ("/", "/"), ("*", "*"), ("/a/b", "/a/b"), ("/a/../b", "/b"), ("/a/%2e%2e/b", "/b"), ("/a/.%2E/b", "/b"),
        ("/./a", "/a"), ("/%2E/a", "/a"), ("/../a", "/a"), ("/a/..", "/"), ("/a/.", "/a/"), ("/a/b/..", "/a/"),
        ("/..", "/"), ("/a//b/", "/a//b/"), ("//p/a", "//p/a"), ("/a//../b", "/a/b"), ("/a/b/../../../c", "/c"),
        ("/a%2Fb", "/a%2Fb"), ("/a%2fb", "/a%2fb"), ("/a%5Cb", "/a%5Cb"), ("/a\\b", "/a/b"), ("\\a", "/a"),
        ("/a\\..\\b", "/b"), ("/%41", "/A"), ("/%7e", "/~"), ("/a%20b", "/a%20b"), ("/%252F", "/%252F"),
        ("/a;x=1", "/a;x=1"), ("/%zz", "/%zz"), ("/a%", "/a%"), ("/a%4", "/a%4"), ("/|", "/%7C"), ("/\"", "/%22"),
        ("/{}", "/%7B%7D"), ("/^", "/%5E"), ("/<>", "/%3C%3E"), ("/...", "/..."), ("/.well-known/x", "/.well-known/x"),
        ("/..a/b", "/..a/b"), ("/a..", "/a.."), ("/a#frag", "/a"), ("/a?b#c", "/a?b"), ("/a#b?c", "/a"),
        ("/a?../%41|\\//", "/a?../%41|\\//"), ("/a/../b?c=../d", "/b?c=../d"), ("/?", "/?"), ("/..;/a", "/..;/a"),
        ("/%2%65%2%65/a", "/%2%65%2%65/a"), ("/a%/%2E%2e/b", "/b"), ("/a%/%2e/b", "/a%/b"), ("/a%2/%2e%2E", "/"),
        ("/%%2e%2e/b", "/%../b"), ("/%2%2e/%66", "/%2./f"), ("/%%65", "/%%65"), ("/%g%65", "/%ge"),
        ("/main.MainService/Call", "/main.MainService/Call"),
    ])
    func `is Istio's BASE`(path: String, expected: String) {
        #expect(normal(path) == expected)
    }

    @Test(arguments: ["", "a", "/%00", "/a%00b?c", "/é", "/a\u{01}", "/a b", "http://a/", "?a", "#", "/a/../%00"])
    func `refuses`(path: String) {
        #expect(normal(path) == nil)
    }

    /// Paths of plain characters are looked at eight octets at a time; these have a dot segment somewhere, or nearly.
    @Test func `finds a dot segment wherever it stands`() {
        for length in 1...40 {
            for place in 0...length {
                var path = Array(repeating: Character("b"), count: length)
                path.insert(contentsOf: "/../", at: place)
                let text = "/" + String(path)
                #expect(normal(text) != text && normal(text)?.contains("..") == false, "\(text)")
                let harmless = text.replacing("/../", with: "/a..")
                #expect(normal(harmless) == harmless)
            }
        }
    }

    @Test func `changes none of the octets that need no change`() {
        for octet in 0x21..<0x7f as Range<UInt8> {
            let text = "/abcdefgh" + String(decoding: [octet], as: UTF8.self) + "ijklmnop"
            let isChanged = "\\\"<>^`{|}#".utf8.contains(octet)
            #expect((normal(text) == text) == !isChanged, "\(text)")
        }
    }

    @Test func `is reached in one step`() {
        var random = Random(state: 7)
        let alphabet = Array("/////...%%%225eE2fFa\\?#;0".utf8)
        for _ in 0..<20_000 {
            let text =
                "/"
                + String(
                    decoding: (0..<random.below(14)).map { _ in alphabet[random.below(alphabet.count)] }, as: UTF8.self)
            guard let once = normal(text) else { continue }
            #expect(normal(once) == once, "\(text)")
            let path = once.prefix { $0 != "?" }
            let segments = path.lowercased().split(separator: "/").map { $0.replacing("%2e", with: ".") }
            #expect(!segments.contains("..") && !segments.contains("."), "\(text) became \(once)")
        }
    }
}
