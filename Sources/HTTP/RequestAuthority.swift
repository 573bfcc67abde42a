internal import Octets

/// Whom a request is meant for.
package enum RequestAuthority {
    /// Whether `:authority`, or `host` in its place, is `uri-host [":" port]` and nothing else. User information
    /// (`user@host`) is refused. Source: RFC 9110 §4.2.4, RFC 9113 §8.3.1.
    package static func isValid(_ block: HeaderBlock) -> Bool {
        HTTP1Syntax.isAuthority(block.first(.authority) ?? block.first(.host) ?? .empty)
    }
}
