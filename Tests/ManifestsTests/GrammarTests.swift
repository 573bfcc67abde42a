import Testing

@testable import Manifests

@Suite struct `The grammar` {
    @Test(arguments: ["a", "a.b", "A-1.com", "svc.ns.svc.cluster.local", "a.com.", "1a", "1.a"])
    func `takes as a host name`(text: String) { #expect(Grammar.isFQDN(text)) }

    @Test(arguments: [
        "", ".", "..", "a..b", ".a", "-a", "a-", "a-.b", "a.-b", "a_b", "1", "a.1", "a.1.", "a b",
        "a/b",
        String(repeating: "a", count: 64), String(repeating: "a.", count: 128), "a..", "é.com",
    ])
    func `refuses as a host name`(text: String) { #expect(!Grammar.isFQDN(text)) }

    @Test(arguments: ["*", "*.a.com", "*foo.com", "*-x.com", "a.com"])
    func `takes as a wildcard`(text: String) { #expect(Grammar.isWildcardDomain(text)) }

    @Test(arguments: ["**", "*.", "a.*", "*.*", "a*.com", ""])
    func `refuses as a wildcard`(text: String) { #expect(!Grammar.isWildcardDomain(text)) }

    @Test(arguments: ["0.0.0.0", "255.255.255.255", "::1", "fe80::1", "::ffff:1.2.3.4"])
    func `takes as an address`(text: String) { #expect(Grammar.isAddress(text)) }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1..2.3", "1.2.3.", ".1.2.3", ":", "[::1]",
        "a.b.c.d", "1.2.3.0004",
    ])
    func `refuses as an address`(text: String) { #expect(!Grammar.isAddress(text)) }

    @Test(arguments: [
        ("a", true), ("a-b", true), ("", false), ("-a", false), ("a-", false), ("A", false),
        ("a.b", false),
    ])
    func `tells labels`(text: String, isLabel: Bool) { #expect(Grammar.isLabel(text) == isLabel) }
}
