/// What operators and peers read of a violation.
extension HTTP2Violation {
    /// The sentence with its source and the frame, if one is known.
    package func words(_ frame: PeerFrame?) -> String {
        "\(sentence) (\(source))" + (frame.map { ": \($0.words)" } ?? "")
    }

    /// What was wrong, as a sentence without capital and full stop.
    package var sentence: String {
        switch self {
        case .fieldName: "a field's name is empty, or has capital letters or characters that no name may have"
        case .fieldValue: "a field's value has characters that no value may have"
        case .connectionField: "a field came that only HTTP/1.1 has, such as connection or transfer-encoding"
        case .te: "te has another value than trailers"
        case .contentLength: "content-length is not a number, or comes twice"
        case .host: "host is not a host name, or comes twice"
        case .pseudoOrder: "a pseudo-header field comes after other fields"
        case .pseudoUnknown: "a pseudo-header field is undefined, or not allowed here"
        case .pseudoRepeated: "a pseudo-header field comes twice"
        case .pseudoMissing: "a pseudo-header field is missing"
        case .method: ":method is not a method"
        case .scheme: ":scheme is not a scheme"
        case .authority: ":authority is not an authority"
        case .path: ":path is empty, does not begin with a slash, or has characters that no path may have"
        case .status: ":status is not a status code"
        case .connect: "CONNECT has the wrong pseudo-header fields"
        case .trailersWithoutEnd: "trailers do not end their stream"
        case .interimResponse: "an interim response ends its stream, or has a length"
        case .headersTooLarge: "the header section is larger than the limit"
        case .tooManyHeaders: "the header section has more fields than the limit"
        case .tooManyInterimResponses: "more interim responses came than the limit"
        default: sentenceOfOthers
        }
    }

    private var sentenceOfOthers: String {
        switch self {
        case .tooManyStreams: "more streams are open than SETTINGS_MAX_CONCURRENT_STREAMS allows"
        case .headerMemory: "the header sections of open requests leave no room for this one (--header-memory)"
        case .contentLengthMismatch: "the body is not as long as content-length says"
        case .dataBeforeHeaders: "DATA came before the headers"
        case .frameAfterEnd: "a frame came after the end of its stream"
        case .streamWindow: "more came than the stream's window allows, or its window grew too large"
        case .preface: "the connection does not begin with HTTP/2's preface and SETTINGS"
        case .frameSize: "a frame's size is wrong"
        case .frameOrder: "a frame came where none of its type may be"
        case .streamNumber: "a client must not use this stream number"
        case .idleStream: "a frame came for a stream that was never opened"
        case .headerCompression: "a header section cannot be decompressed"
        case .settings: "SETTINGS have a value that is not allowed"
        case .connectionWindow: "more came than the connection's window allows, or its window grew too large"
        case .windowUpdate: "WINDOW_UPDATE has an increment of 0"
        case .padding: "a frame's padding is longer than the frame"
        case .pushPromise: "PUSH_PROMISE came, although push is disabled"
        case .continuationFlood: "a header section came in too many frames"
        case .controlFlood: "SETTINGS or PING came, and their answers were not read"
        case .settingsFlood: "too many SETTINGS, or too many values in one of them"
        case .headerHoard:
            "no memory was left for header sections (--header-memory), and this connection's requests held most of it"
        case .resetFlood: "too many requests were cancelled, and too few completed"
        case .emptyFrameFlood: "too many DATA or CONTINUATION frames without content"
        case .ignoredFrameFlood: "too many PRIORITY frames, or frames of unknown types"
        case .lateFrameFlood: "too many frames came for streams that are over or are not served"
        case .pingFlood: "too many PING frames"
        case .goAwayFlood: "too many GOAWAY frames"
        case .windowUpdateFlood: "too many WINDOW_UPDATE frames for what was sent"
        case .interimFlood: "too many interim responses"
        default: "too many requests or responses were malformed or above a limit"
        }
    }

    /// The section of the standard that has the rule.
    package var source: String {
        switch self {
        case .fieldName, .fieldValue: "RFC 9113 §8.2.1"
        case .connectionField, .te: "RFC 9113 §8.2.2"
        case .contentLength, .contentLengthMismatch: "RFC 9113 §8.1.1"
        case .pseudoOrder, .pseudoUnknown, .pseudoRepeated: "RFC 9113 §8.3"
        case .pseudoMissing, .method, .scheme, .authority, .path, .host: "RFC 9113 §8.3.1"
        case .status: "RFC 9113 §8.3.2"
        case .connect: "RFC 9113 §8.5"
        case .trailersWithoutEnd, .interimResponse, .dataBeforeHeaders, .tooManyInterimResponses: "RFC 9113 §8.1"
        case .headersTooLarge, .tooManyHeaders, .headerMemory, .headerHoard: "RFC 9113 §10.5.1"
        case .tooManyStreams: "RFC 9113 §5.1.2"
        case .frameAfterEnd, .idleStream: "RFC 9113 §5.1"
        case .streamWindow, .connectionWindow, .windowUpdate: "RFC 9113 §6.9"
        case .padding: "RFC 9113 §6.1, §6.2"
        case .preface: "RFC 9113 §3.4"
        case .frameSize: "RFC 9113 §4.2"
        case .frameOrder: "RFC 9113 §6"
        case .streamNumber: "RFC 9113 §5.1.1"
        case .headerCompression: "RFC 9113 §4.3"
        case .settings: "RFC 9113 §6.5.2"
        case .pushPromise: "RFC 9113 §8.4"
        case .continuationFlood, .controlFlood, .settingsFlood, .resetFlood, .emptyFrameFlood, .ignoredFrameFlood,
            .lateFrameFlood, .pingFlood, .goAwayFlood, .windowUpdateFlood, .interimFlood, .violationFlood:
            "RFC 9113 §10.5"
        }
    }
}
