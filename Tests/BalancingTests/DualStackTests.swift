import Testing

@testable import Balancing

/// Names with addresses of both families. Source: RFC 8305 §4 and §5.
@Suite struct `A name with addresses of both families` {
    private func ip(_ host: String) -> EndpointAddress { .ip(host, port: 80) }

    private func pairs(_ hosts: [String]) -> [String] {
        EndpointAddress.paired(hosts.map(ip)).map { "\($0.address) \($0.other.map { "\($0)" } ?? "-")" }
    }

    @Test func `has an endpoint for each address of the family that has more`() {
        #expect(pairs(["10.0.0.1", "fd00::1"]) == ["[fd00::1]:80 10.0.0.1:80"])
        #expect(
            pairs(["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "fd00::2"]) == [
                "10.0.0.1:80 [fd00::1]:80", "10.0.0.2:80 [fd00::2]:80", "10.0.0.3:80 [fd00::1]:80",
            ])
        #expect(
            pairs(["10.0.0.1", "fd00::1", "fd00::2"]) == ["[fd00::1]:80 10.0.0.1:80", "[fd00::2]:80 10.0.0.1:80"])
    }

    @Test func `keeps its pairs when an address comes or goes, in whatever order an answer has them`() {
        typealias Pairs = [(address: EndpointAddress, other: EndpointAddress?)]
        func others(_ pairs: Pairs) -> [EndpointAddress: EndpointAddress] {
            Dictionary(uniqueKeysWithValues: pairs.compactMap { pair in pair.other.map { (pair.address, $0) } })
        }
        let four = (1...4).map { ip("10.0.0.\($0)") }
        let two = [ip("fd00::1"), ip("fd00::2")]
        let first = others(EndpointAddress.paired(four + two))
        #expect(others(EndpointAddress.paired(two.reversed() + four.reversed(), before: first)) == first)
        let more = others(EndpointAddress.paired([ip("10.0.0.0")] + two.reversed() + four, before: first))
        #expect(more.count == 5 && first.allSatisfy { more[$0.key] == $0.value })
        let fewer = others(EndpointAddress.paired(Array(four.dropFirst()) + two, before: first))
        #expect(fewer.allSatisfy { first[$0.key] == $0.value })
        // Where one of the other family goes, what had the one that is left keeps it.
        let single = others(EndpointAddress.paired(four + [two[1]], before: first))
        #expect(single.values.allSatisfy { $0 == two[1] })
        // And where one comes, it is used as often as the others.
        let third = others(EndpointAddress.paired(four + two + [ip("fd00::3")], before: first))
        let uses = Dictionary(grouping: third.values) { $0 }
        #expect(uses.count == 3 && uses.values.allSatisfy { $0.count <= 2 })
    }

    @Test func `of one family has endpoints of one address`() {
        #expect(pairs(["10.0.0.1", "10.0.0.2"]) == ["10.0.0.1:80 -", "10.0.0.2:80 -"])
        #expect(pairs(["fd00::1"]) == ["[fd00::1]:80 -"] && pairs([]).isEmpty)
    }

    @Test func `is reached by IPv6 first, and by IPv4 for ten minutes after that has lost`() {
        let memory = FamilyMemory()
        let dual = DualStack(ip("10.0.0.1"), ip("fd00::1"), memory: memory)
        #expect(dual.order(at: 5) == (ip("fd00::1"), ip("10.0.0.1")))
        memory.lost(isIPv6: true, at: 5)
        #expect(dual.order(at: 6) == (ip("10.0.0.1"), ip("fd00::1")))
        #expect(memory.prefersIPv4(at: 4 + FamilyMemory.span) && !memory.prefersIPv4(at: 5 + FamilyMemory.span))
        memory.lost(isIPv6: true, at: 0)
        #expect(memory.prefersIPv4(at: 1))
        memory.lost(isIPv6: false, at: 7)
        #expect(!memory.prefersIPv4(at: 8))
    }
}
