/// Why an HTTP/1.1 message is not passed on. Each reason has its answer, and the connection is always closed after
/// it, because where the next message begins cannot be known.
package enum HTTP1Error: Int, Error, Sendable, CaseIterable {
    case syntax    // start line, name, line end
    case invalidCharacters    // in a value
    case invalidTarget
    case invalidAuthority
    case missingHost
    case duplicateHost
    case connectionNominatesProtected
    case invalidContentLength
    case lengthAndTransferEncoding
    case unknownTransferEncoding
    case transferEncodingNotAllowed    // in HTTP/1.0
    case headersTooLarge
    case tooManyHeaders
    case oldVersion
    case unknownVersion
    case secureTargetOnClearText
    case invalidChunk
    case chunkExtensionTooLarge
    case unexpectedOctets    // a response without a request
    case unexpectedUpgrade    // a 101 without a request for it
    case tooManyInterimResponses
    case headerMemory    // the sections that are held leave no room
    case tlsOnClearText    // a connection begins with a record of TLS
    case proxyHeaderUnexpected    // a connection begins with a header of the PROXY protocol

    /// The answer to a request; an upstream's error is always 502.
    package var status: Int {
        switch self {
        case .unknownTransferEncoding: 501
        case .headersTooLarge, .tooManyHeaders: 431
        case .oldVersion: 426
        case .unknownVersion: 505
        case .secureTargetOnClearText: 403
        case .headerMemory: 503
        default: 400
        }
    }

    /// The body of that answer: one sentence that says why. Only what the request itself shows is in it.
    package var body: String {
        switch self {
        case .syntax: "The message is not valid HTTP."
        case .invalidCharacters: "A header field's value has a character that is not allowed."
        case .invalidTarget: "The request target is not a path."
        case .invalidAuthority: "The host is not a valid host name."
        case .missingHost: "The host header field is missing."
        case .duplicateHost: "The host header field is there more than once."
        case .connectionNominatesProtected: "The connection header field names a field that must not be removed."
        case .invalidContentLength: "The content-length header field is not a single number."
        case .lengthAndTransferEncoding: "The message has both content-length and transfer-encoding."
        case .unknownTransferEncoding: "The only transfer-encoding supported here is chunked."
        case .transferEncodingNotAllowed: "A message of this kind must not have transfer-encoding."
        case .headersTooLarge:
            "The header section is too large: \(HTTP1Limits.request.headOctets >> 10) KiB are allowed, "
                + "\(HTTP1Limits.request.trailerOctets >> 10) KiB of trailers, and no flag changes that."
        case .tooManyHeaders:
            "The header section has too many fields: \(HTTP1Limits.request.fields) are allowed, "
                + "and no flag changes that."
        case .oldVersion: "HTTP/0.9 is not spoken here: use HTTP/2 or HTTP/1.1."
        case .unknownVersion: "This version of HTTP is not spoken here: use HTTP/2 or HTTP/1.1."
        case .secureTargetOnClearText: "The target is an https URL, but the connection is not encrypted."
        case .invalidChunk: "The chunked body is malformed."
        case .chunkExtensionTooLarge: "A chunk's extension is too large."
        case .headerMemory: "The header sections of open requests leave no room for another."
        case .tlsOnClearText: "The client speaks TLS, and this port is in clear text: call http://, or a port of TLS."
        case .proxyHeaderUnexpected:
            "The connection begins with a header of the PROXY protocol, and this port expects none (--proxy-protocol)."
        case .unexpectedOctets, .unexpectedUpgrade, .tooManyInterimResponses: "The message was not expected."
        }
    }

    /// The token for the access log, `RESPONSE_CODE_DETAILS` in Envoy's terms.
    package var details: StaticString {
        switch self {
        case .syntax: "http1.codec_error"
        case .invalidCharacters: "http1.invalid_characters"
        case .invalidTarget: "http1.invalid_url"
        case .invalidAuthority: "http.invalid_authority"
        case .missingHost: "missing_host_header"
        case .duplicateHost: "http1.duplicate_host"
        case .connectionNominatesProtected: "http1.connection_header_rejected"
        case .invalidContentLength: "http1.invalid_content_length"
        case .lengthAndTransferEncoding: "http1.content_length_and_chunked_not_allowed"
        case .unknownTransferEncoding: "http1.invalid_transfer_encoding"
        case .transferEncodingNotAllowed: "http1.transfer_encoding_not_allowed"
        case .headersTooLarge: "http1.headers_too_large"
        case .tooManyHeaders: "http1.too_many_headers"
        case .oldVersion: "low_version"
        case .unknownVersion: "http1.unknown_version"
        case .secureTargetOnClearText: "http1.https_url_on_plaintext_connection"
        case .invalidChunk: "http1.invalid_chunk"
        case .chunkExtensionTooLarge: "http1.chunk_extension_too_large"
        case .unexpectedOctets: "http1.unexpected_octets"
        case .unexpectedUpgrade: "http1.unexpected_upgrade"
        case .tooManyInterimResponses: "http1.too_many_interim_responses"
        case .headerMemory: "http1.header_memory"
        case .tlsOnClearText: "http1.tls_on_clear_text"
        case .proxyHeaderUnexpected: "http1.proxy_header_unexpected"
        }
    }
}
