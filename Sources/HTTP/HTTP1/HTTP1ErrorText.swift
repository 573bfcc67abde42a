/// What operators read of a message that was refused.
extension HTTP1Error {
    /// What was wrong, as a part of a sentence: the answer's own, without its capital and its full stop. It is said of
    /// messages of both sides, whose limits differ; docs/limits.md has them.
    package var sentence: String {
        switch self {
        case .headersTooLarge: "the header section or the trailers are larger than the limit"
        case .tooManyHeaders: "the header section or the trailers have more fields than the limit"
        case .headerMemory: "the header sections of open requests leave no room for this one (--header-memory)"
        default: body.prefix(1).lowercased() + body.dropFirst().dropLast()
        }
    }

    /// Where that is said.
    package var source: StaticString {
        switch self {
        case .syntax: "RFC 9112 §2.2, §3, §5"
        case .invalidCharacters: "RFC 9110 §5.5"
        case .invalidTarget: "RFC 9112 §3.2"
        case .invalidAuthority: "RFC 9110 §7.2"
        case .missingHost, .duplicateHost: "RFC 9112 §3.2"
        case .connectionNominatesProtected: "RFC 9110 §7.6.1"
        case .invalidContentLength: "RFC 9112 §6.3"
        case .lengthAndTransferEncoding, .unknownTransferEncoding, .transferEncodingNotAllowed: "RFC 9112 §6.1"
        case .headersTooLarge, .tooManyHeaders: "RFC 6585 §5"
        case .headerMemory: "RFC 9110 §15.6.4"
        case .oldVersion, .unknownVersion: "RFC 9110 §15.6.6"
        case .secureTargetOnClearText: "RFC 9110 §4.2.2"
        case .tlsOnClearText, .proxyHeaderUnexpected: "RFC 9112 §2.2"
        case .invalidChunk, .chunkExtensionTooLarge: "RFC 9112 §7.1"
        case .unexpectedOctets: "RFC 9112 §9.2"
        case .unexpectedUpgrade: "RFC 9110 §15.2.2"
        case .tooManyInterimResponses: "RFC 9110 §15.2"
        }
    }
}
