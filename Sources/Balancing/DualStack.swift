internal import Synchronization

/// Which family of addresses the connections to a host try first that has both: IPv6, until a connection by IPv4 was
/// ready while IPv6 had its chance; then IPv4 for a while. Any thread.
/// Source: RFC 8305 §4 (IPv6 first, and what a client knows of the past); RFC 6555 §4.2 (for ten minutes).
///
/// Thread: any. Freed by: the last of the directory of its cluster, the endpoints and the workers' pools.
package final class FamilyMemory: Sendable {
    private let lostAt = Atomic<UInt64>(0)    // when IPv6 last lost; 0: it leads

    /// For how many nanoseconds IPv4 goes first after IPv6 has lost.
    package static let span: UInt64 = 600_000_000_000

    /// IPv6 leads at first.
    package init() {}

    /// Whether IPv4 goes first.
    /// - Parameter now: nanoseconds of the workers' clock.
    package func prefersIPv4(at now: UInt64) -> Bool {
        let lost = lostAt.load(ordering: .relaxed)
        return lost != 0 && now < lost &+ Self.span
    }

    /// One family came to nothing, or was slower than the other one.
    /// - Parameter now: as above.
    package func lost(isIPv6: Bool, at now: UInt64) { lostAt.store(isIPv6 ? max(now, 1) : 0, ordering: .relaxed) }
}

/// The addresses of an endpoint that is reached by both families.
package struct DualStack: Sendable {
    /// The one that connections try first.
    package let ipv6: EndpointAddress
    /// The one that they try beside it.
    package let ipv4: EndpointAddress
    /// What all endpoints of the name know together.
    package let memory: FamilyMemory

    /// Makes a pair; see the properties of the same names.
    package init(ipv6: EndpointAddress, ipv4: EndpointAddress, memory: FamilyMemory) {
        self.ipv6 = ipv6
        self.ipv4 = ipv4
        self.memory = memory
    }

    /// Makes the pair of two addresses in any order.
    package init(_ one: EndpointAddress, _ other: EndpointAddress, memory: FamilyMemory) {
        self = one.isIPv6 ? Self(ipv6: one, ipv4: other, memory: memory) : Self(ipv6: other, ipv4: one, memory: memory)
    }

    /// The address that is tried first now, and the other one.
    /// - Parameter now: nanoseconds of the workers' clock.
    package func order(at now: UInt64) -> (first: EndpointAddress, second: EndpointAddress) {
        memory.prefersIPv4(at: now) ? (ipv4, ipv6) : (ipv6, ipv4)
    }
}

extension EndpointAddress {
    package var isIPv6: Bool {
        if case .ip(let host, _) = self { host.contains(":") } else { false }
    }

    /// The addresses of one name as endpoints: where both families are there, each has one of the other family beside
    /// it. The family with more addresses has one endpoint for each; the other one's are used equally often, and an
    /// address keeps the one that it had, so that an answer with one address more makes one endpoint more.
    /// - Parameters:
    ///   - addresses: of the name, each once.
    ///   - before: the other address of each that had one in the answer before.
    package static func paired(
        _ addresses: [EndpointAddress], before: [EndpointAddress: EndpointAddress] = [:]
    ) -> [(address: EndpointAddress, other: EndpointAddress?)] {
        let (ipv6, ipv4) = (addresses.filter(\.isIPv6), addresses.filter { !$0.isIPv6 })
        let (many, few) = ipv6.count >= ipv4.count ? (ipv6, ipv4) : (ipv4, ipv6)
        guard !few.isEmpty else { return many.map { ($0, nil) } }
        // Each is used so often, and as many as are left over once more.
        let division = many.count.quotientAndRemainder(dividingBy: few.count)
        let often = division.quotient
        var more = division.remainder
        var uses = Dictionary(few.map { ($0, 0) }) { first, _ in first }
        let kept = many.map { address -> EndpointAddress? in
            guard let other = before[address], let count = uses[other], count < often || (count == often && more > 0)
            else { return nil }
            if count == often { more -= 1 }
            uses[other] = count + 1
            return other
        }
        // Each is passed once: what is used often enough stays so.
        var place = 0
        return many.indices.map { index in
            if let other = kept[index] { return (many[index], other) }
            while let count = uses[few[place % few.count]], count > place / few.count { place += 1 }
            let other = few[place % few.count]
            uses[other, default: 0] += 1
            return (many[index], other)
        }
    }
}
