internal import Octets

/// The nine octets in front of each frame. Source: RFC 9113 §4.1.
struct FrameHeader {
    static let octets = 9
    /// Octets of payload that every peer takes, and the most that we take.
    static let defaultPayload = 16_384

    var length: Int
    var type: UInt8
    var flags: UInt8
    var stream: Int32

    /// Reads the first nine of `octets`, which must be there.
    @inline(__always)
    init(_ octets: Octets) {
        let first = octets.bigEndian32(at: 0)
        length = Int(first >> 8)
        type = UInt8(truncatingIfNeeded: first)
        flags = octets[4]
        stream = Int32(truncatingIfNeeded: octets.bigEndian32(at: 5) & 0x7fff_ffff)
    }

    @inline(__always)
    init(_ type: FrameType, flags: UInt8 = 0, stream: Int32 = 0, length: Int) {
        self.length = length
        self.type = type.rawValue
        self.flags = flags
        self.stream = stream
    }

    /// Writes the nine octets to the front of `room`, which must have them.
    @inline(__always)
    func write(to room: UnsafeMutableRawBufferPointer) {
        precondition(room.count >= Self.octets)
        let first = UInt32(truncatingIfNeeded: length) << 8 | UInt32(type)
        unsafe room.storeBytes(of: first.bigEndian, as: UInt32.self)
        unsafe room.storeBytes(of: flags, toByteOffset: 4, as: UInt8.self)
        unsafe room.storeBytes(of: UInt32(bitPattern: stream).bigEndian, toByteOffset: 5, as: UInt32.self)
    }

    /// Whether the flag is set. What it means depends on the type.
    func has(_ flag: UInt8) -> Bool { flags & flag != 0 }
}

/// Source: RFC 9113 §6.
enum FrameType: UInt8 {
    case data, headers, priority, resetStream, settings, pushPromise, ping, goAway, windowUpdate, continuation

    /// Its name in RFC 9113.
    var name: String {
        switch self {
        case .data: "DATA"
        case .headers: "HEADERS"
        case .priority: "PRIORITY"
        case .resetStream: "RST_STREAM"
        case .settings: "SETTINGS"
        case .pushPromise: "PUSH_PROMISE"
        case .ping: "PING"
        case .goAway: "GOAWAY"
        case .windowUpdate: "WINDOW_UPDATE"
        case .continuation: "CONTINUATION"
        }
    }
}

/// Flags of a frame; what one means depends on the type of the frame. Source: RFC 9113 §6.
enum FrameFlag {
    static let endStream: UInt8 = 0x1
    /// Of SETTINGS and PING: it is the answer to one of ours.
    static let ack: UInt8 = 0x1
    /// Of HEADERS and CONTINUATION: the section is complete.
    static let endHeaders: UInt8 = 0x4
    static let padded: UInt8 = 0x8
    /// Of HEADERS: five octets of priority come first.
    static let priority: UInt8 = 0x20
}

/// Source: RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1.
enum Setting: UInt16 {
    case headerTableSize = 1
    case enablePush, concurrentStreams, initialWindow, frameSize, headerListSize
    case connectProtocol = 8
    case noPriorities = 9
}

/// HTTP/2 error codes. Source: RFC 9113 §7.
package enum ErrorCode {
    package static let none: UInt32 = 0    // NO_ERROR
    package static let protocolError: UInt32 = 1    // PROTOCOL_ERROR
    package static let internalError: UInt32 = 2    // INTERNAL_ERROR
    /// FLOW_CONTROL_ERROR
    static let flowControl: UInt32 = 3
    /// STREAM_CLOSED
    static let streamClosed: UInt32 = 5
    /// FRAME_SIZE_ERROR
    static let frameSize: UInt32 = 6
    package static let refusedStream: UInt32 = 7    // REFUSED_STREAM: nothing was processed
    package static let cancel: UInt32 = 8    // CANCEL
    /// COMPRESSION_ERROR: the HPACK state of both sides differs from now on
    static let compression: UInt32 = 9
    package static let enhanceYourCalm: UInt32 = 11    // ENHANCE_YOUR_CALM
    package static let http11Required: UInt32 = 13    // HTTP_1_1_REQUIRED
}
