internal import Octets

/// Whom requests are meant for. Most of a worker's requests name one authority after the other: the last good one is
/// remembered, and compared instead of read again.
package struct RequestAuthority {
    private let last = OctetBuffer(capacity: 64)
    private static let rememberedOctets = 255

    /// Remembers nothing yet.
    package init() {}

    /// Whether `:authority`, or `host` in its place, is `uri-host [":" port]` and nothing else. User information
    /// (`user@host`) is refused. Source: RFC 9110 §4.2.4, RFC 9113 §8.3.1.
    package func isValid(_ block: HeaderBlock) -> Bool {
        let authority = block.first(.authority) ?? block.first(.host) ?? .empty
        if authority == last.octets { return true }
        guard HTTP1Syntax.isAuthority(authority) else { return false }
        last.clear()
        if authority.count <= Self.rememberedOctets { last.append(authority) }
        return true
    }
}
