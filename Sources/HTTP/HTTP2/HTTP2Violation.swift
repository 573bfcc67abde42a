/// Why a stream or connection of HTTP/2 was ended for what its peer sent: a bounded list, one case for each
/// rule. Metrics and the access log call it by `name`; GOAWAY tells the peer `sentence` and `source`.
@frozen @usableFromInline
package enum HTTP2Violation: Int, BitwiseCopyable, Sendable, CaseIterable {
    // A header section is malformed: its stream ends.
    case fieldName, fieldValue, connectionField, te, contentLength, host
    case pseudoOrder, pseudoUnknown, pseudoRepeated, pseudoMissing
    case method, scheme, authority, path, status, connect
    case trailersWithoutEnd, interimResponse
    // A header section is above a limit of ours: its stream ends, and is answered where that is possible.
    case headersTooLarge, tooManyHeaders, tooManyInterimResponses
    // There is no room for the stream: it is refused, and the client may try again; one that is open is answered.
    case tooManyStreams, headerMemory
    // DATA of a stream: the stream ends.
    case contentLengthMismatch, dataBeforeHeaders, frameAfterEnd, streamWindow
    // The connection ends.
    case preface, frameSize, frameOrder, streamNumber, idleStream, headerCompression
    case settings, connectionWindow, windowUpdate, padding, pushPromise
    // The connection ends: serving what its peer sends costs too much.
    case continuationFlood, controlFlood, settingsFlood, resetFlood, headerHoard
    // The same: the peer's allowance of useless work (`WorkBudget`) was used up by a frame of this kind.
    case emptyFrameFlood, ignoredFrameFlood, lateFrameFlood, pingFlood, goAwayFlood, windowUpdateFlood
    case interimFlood, violationFlood

    /// The label of the metric, and the token in the access log. It is part of the interface: alerts name it.
    package var name: String {
        switch self {
        case .fieldName: "http2.field_name"
        case .fieldValue: "http2.field_value"
        case .connectionField: "http2.connection_field"
        case .te: "http2.te"
        case .contentLength: "http2.content_length"
        case .host: "http2.host"
        case .pseudoOrder: "http2.pseudo_order"
        case .pseudoUnknown: "http2.pseudo_unknown"
        case .pseudoRepeated: "http2.pseudo_repeated"
        case .pseudoMissing: "http2.pseudo_missing"
        case .method: "http2.method"
        case .scheme: "http2.scheme"
        case .authority: "http2.authority"
        case .path: "http2.path"
        case .status: "http2.status"
        case .connect: "http2.connect"
        case .trailersWithoutEnd: "http2.trailers_without_end"
        case .interimResponse: "http2.interim_response"
        case .headersTooLarge: "http2.headers_too_large"
        case .tooManyHeaders: "http2.too_many_headers"
        case .tooManyInterimResponses: "http2.too_many_interim_responses"
        default: nameOfOthers
        }
    }

    private var nameOfOthers: String {
        switch self {
        case .tooManyStreams: "http2.too_many_streams"
        case .headerMemory: "http2.header_memory"
        case .contentLengthMismatch: "http2.content_length_mismatch"
        case .dataBeforeHeaders: "http2.data_before_headers"
        case .frameAfterEnd: "http2.frame_after_end"
        case .streamWindow: "http2.stream_window"
        case .preface: "http2.preface"
        case .frameSize: "http2.frame_size"
        case .frameOrder: "http2.frame_order"
        case .streamNumber: "http2.stream_number"
        case .idleStream: "http2.idle_stream"
        case .headerCompression: "http2.header_compression"
        case .settings: "http2.settings"
        case .connectionWindow: "http2.connection_window"
        case .windowUpdate: "http2.window_update"
        case .padding: "http2.padding"
        case .pushPromise: "http2.push_promise"
        case .continuationFlood: "http2.continuation_flood"
        case .controlFlood: "http2.control_flood"
        case .settingsFlood: "http2.settings_flood"
        case .resetFlood: "http2.reset_flood"
        case .headerHoard: "http2.header_hoard"
        case .emptyFrameFlood: "http2.empty_frame_flood"
        case .ignoredFrameFlood: "http2.ignored_frame_flood"
        case .lateFrameFlood: "http2.late_frame_flood"
        case .pingFlood: "http2.ping_flood"
        case .goAwayFlood: "http2.goaway_flood"
        case .windowUpdateFlood: "http2.window_update_flood"
        case .interimFlood: "http2.interim_flood"
        default: "http2.violation_flood"
        }
    }

    /// Whether the request may be answered: it is above a limit or finds no memory, but what was read of it is
    /// well-formed.
    package var mayBeAnswered: Bool { [.headersTooLarge, .tooManyHeaders, .headerMemory].contains(self) }

    /// Whether the peer has broken no rule: there is no memory for its header sections.
    package var isLackOfMemory: Bool { self == .headerMemory || self == .headerHoard }

    /// The error code in RST_STREAM or GOAWAY. Source: RFC 9113 §7.
    package var code: UInt32 {
        switch self {
        case .headersTooLarge, .tooManyHeaders, .tooManyInterimResponses: ErrorCode.enhanceYourCalm
        case .tooManyStreams, .headerMemory: ErrorCode.refusedStream
        case .frameAfterEnd: ErrorCode.streamClosed
        case .streamWindow, .connectionWindow: ErrorCode.flowControl
        case .frameSize: ErrorCode.frameSize
        case .headerCompression: ErrorCode.compression
        case .continuationFlood, .controlFlood, .settingsFlood, .resetFlood, .headerHoard, .emptyFrameFlood,
            .ignoredFrameFlood, .lateFrameFlood, .pingFlood, .goAwayFlood, .windowUpdateFlood, .interimFlood,
            .violationFlood:
            ErrorCode.enhanceYourCalm
        default: ErrorCode.protocolError
        }
    }
}
