import Balancing
import HTTP
import Octets
import Testing

@testable import Proxy

/// What of a request is hashed. Source: docs/behaviour.md, Consistent hashing.
@Suite struct `The key of a request's hash` {
    private let pools = MessagePools()

    private func value(
        _ key: HashPolicy.Key, _ fields: [(StaticString, StaticString)] = [], path: StaticString = "/"
    ) -> String? {
        let block = pools.takeBlock()
        for (name, value) in fields { block.append(copying: Octets(name), Octets(value)) }
        let hashKey = HashKey(HashPolicy(key: key, table: .ring(minimum: 1024)))
        return hashKey.value(in: block, path: Octets(path), peer: "192.0.2.7")?.string
    }

    private func cookie(_ text: StaticString) -> String? {
        value(.cookie(HashPolicy.Cookie(name: "sid", setting: nil)), [("cookie", text)])
    }

    @Test func `is a header, a parameter of the query, or the client's address`() {
        #expect(value(.header("x-user"), [("x-user", "ann"), ("x-user", "bob")]) == "ann")
        #expect(value(.header("x-user")) == nil)
        #expect(value(.sourceAddress) == "192.0.2.7")
        for (path, wanted) in [
            ("/a?u=1&u=2", "1"), ("/a?v=u=3&u=4", "4"), ("/a?u=", ""), ("/a?u", nil), ("/u=1", nil), ("/?xu=1", nil),
        ] as [(StaticString, String?)] {
            #expect(value(.queryParameter("u"), path: path) == wanted, "\(path)")
        }
    }

    @Test(
        arguments: [
            ("sid=1", "1"), ("a=b; sid=2", "2"), ("a=b;sid=\"3\"; c", "3"), ("xsid=4", nil), ("sid", nil), ("sid=", ""),
            (";;; ;sid=5;;", "5"), ("sid=\"", "\""), ("sid=a=b", "a=b"), ("a=sid=1", nil), ("SID=1", nil),
            (" sid=6", "6"),
        ] as [(String, String?)])
    func `is the first cookie of the name, whatever stands around it`(text: String, wanted: String?) {
        let block = pools.takeBlock()
        var text = text
        text.withUTF8 { unsafe block.append(copying: "cookie", Octets(UnsafeRawBufferPointer($0))) }
        let key = HashKey(
            HashPolicy(key: .cookie(HashPolicy.Cookie(name: "sid", setting: nil)), table: .maglev(size: 7)))
        #expect(key.value(in: block, path: "/", peer: "1")?.string == wanted)
    }

    @Test func `is looked for in every cookie field, and found once for all tries`() {
        let block = pools.takeBlock()
        block.append(stable: "cookie", "a=1")
        block.append(stable: "cookie", "sid=9")
        let key = HashKey(
            HashPolicy(key: .cookie(HashPolicy.Cookie(name: "sid", setting: "")), table: .maglev(size: 7)))
        var affinity = Affinity()
        affinity.find(key, in: block, path: "/", peer: "1", random: 5)
        #expect(affinity.cookie == nil && affinity.hash == StableHash.hash("9"))
        block.clear()
        affinity.find(key, in: block, path: "/", peer: "1", random: 6)
        #expect(affinity.hash == StableHash.hash("9"))
    }

    @Test func `is set where it is absent, and leads to the same place when it comes back`() {
        let (request, answer) = (pools.takeBlock(), pools.takeBlock())
        let policy = HashPolicy(
            key: .cookie(HashPolicy.Cookie(name: "sid", setting: "; Max-Age=60; Path=/; HttpOnly")),
            table: .ring(minimum: 1))
        let key = HashKey(policy)
        var affinity = Affinity()
        affinity.find(key, in: request, path: "/", peer: "1", random: 0xabc)
        #expect(affinity.cookie == 0xabc)
        key.setCookie(0xabc, in: answer)
        #expect(
            answer.first(named: "set-cookie")?.string == "sid=\"0000000000000abc\"; Max-Age=60; Path=/; HttpOnly")
        request.append(stable: "cookie", "sid=\"0000000000000abc\"")
        var next = Affinity()
        next.find(key, in: request, path: "/", peer: "1", random: 1)
        #expect(next.hash == affinity.hash && next.cookie == nil)
    }

    /// Hostile clients choose every octet.
    @Test func `is found or not, but nothing breaks, whatever the octets`() {
        var random = SystemRandomNumberGenerator()
        let letters = Array("sid=;\" \t&?%\u{1}\u{ff}a".utf8)
        let keys = [
            HashPolicy.Key.cookie(HashPolicy.Cookie(name: "sid", setting: "")), .queryParameter("sid"),
            .header("cookie"),
        ].map { HashKey(HashPolicy(key: $0, table: .ring(minimum: 1))) }
        for _ in 0..<20_000 {
            let octets = (0..<Int.random(in: 0...24, using: &random)).map { _ in letters.randomElement(using: &random)!
            }
            let block = pools.takeBlock()
            unsafe octets.withUnsafeBytes { bytes in
                let text = unsafe Octets(bytes)
                block.append(copying: "cookie", text)
                for key in keys { _ = key.value(in: block, path: text, peer: .empty) }
            }
            pools.letGo(block)
        }
    }
}
