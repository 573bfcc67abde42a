package import Octets

/// Where one gRPC message ends and the next begins, in a stream of octets: one octet of flags, four of
/// length, then the message. Trailers may be added only between messages.
/// Source: grpc/grpc doc/PROTOCOL-HTTP2.md, Length-Prefixed-Message.
package struct GRPCMessageBoundary: BitwiseCopyable {
    @usableFromInline var prefix = 0    // octets of the next message's prefix seen, 0...4
    @usableFromInline var length: UInt32 = 0
    @usableFromInline var rest: UInt64 = 0    // octets of the message still to come

    /// At the start of a body, which is between messages.
    @inlinable package init() {}

    /// Whether the last octet that passed was the last one of a message.
    package var isBetweenMessages: Bool { prefix == 0 && rest == 0 }

    /// Follows further octets of the body, in any pieces.
    package mutating func pass(_ octets: Octets) {
        var index = 0
        while index < octets.count {
            if rest > 0 {
                let count = Int(min(rest, UInt64(octets.count - index)))
                rest -= UInt64(count)
                index += count
                continue
            }
            if prefix > 0 { length = length << 8 | UInt32(octets[index]) }
            prefix += 1
            index += 1
            if prefix == 5 {
                rest = UInt64(length)
                (prefix, length) = (0, 0)
            }
        }
    }
}
