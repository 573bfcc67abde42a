import Octets
import Testing

@Suite struct `A set of names` {
    private let texts = [
        "", ":path", ":method", "te", "host", "cookie", "content-type", "x-request-id", "x-tier", "x-debug", "x-client",
        "grpc-timeout", "strict-transport-security", "a", "b",
    ]

    private func octets(_ text: String, _ body: (Octets) -> Void) {
        unsafe Array(text.utf8).withUnsafeBytes { unsafe body(Octets($0)) }
    }

    @Test func `misses none that is there`() {
        for count in 0...texts.count {
            var set = NameSet()
            for text in texts.prefix(count) { octets(text) { set.insert($0) } }
            for text in texts.prefix(count) { octets(text) { #expect(set.mayHave($0), "\(text)") } }
        }
    }

    @Test func `takes few others for one`() {
        var set = NameSet()
        for text in texts.prefix(8) { octets(text) { set.insert($0) } }
        var taken = 0
        for number in 0..<1000 {
            octets("x-\(String(repeating: "n", count: number % 20))\(number)") { if set.mayHave($0) { taken += 1 } }
        }
        #expect(taken < 300)
    }

    @Test func `meets another where they share a name`() {
        var (one, other) = (NameSet(), NameSet())
        #expect(!one.mayMeet(other))
        octets("x-tier") { one.insert($0) }
        octets("x-tier") { other.insert($0) }
        #expect(one.mayMeet(other) && !one.mayMeet(NameSet()))
    }
}
