/// A frame that the peer has sent, as messages name it: its type, its length and its stream. Plain data of eight
/// octets, so that an event carries it.
@frozen @usableFromInline
package struct PeerFrame: BitwiseCopyable, Equatable, Sendable {
    private let stream: Int32    // 0: the connection
    private let lengthAndType: UInt32    // the first four octets of its header (RFC 9113 §4.1)

    init(_ header: FrameHeader) {
        stream = header.stream
        lengthAndType = UInt32(truncatingIfNeeded: header.length) << 8 | UInt32(header.type)
    }

    /// For example `WINDOW_UPDATE of 5 octets on stream 3`.
    package var words: String {
        let type = UInt8(truncatingIfNeeded: lengthAndType)
        let name = FrameType(rawValue: type)?.name ?? "a frame of type \(type)"
        return "\(name) of \(lengthAndType >> 8) octets on \(stream == 0 ? "the connection" : "stream \(stream)")"
    }
}
