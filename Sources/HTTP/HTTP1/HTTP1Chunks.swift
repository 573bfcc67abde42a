internal import Octets

/// Takes the chunked framing off a body, octet by octet where it is framing and by slices where it is
/// data. Source: RFC 9112 §7.1. Only CRLF ends a line; trailers are checked and dropped.
///
///     size → (blank) → (extension) → sizeEnd → data → dataCR → dataLF → size …
///     size 0 → … → sizeEnd → lineStart → name → value → lineEnd → lineStart … → lastEnd → done
struct HTTP1Chunks {
    enum Found {
        case needsMore
        case data(Octets)
        case end
    }

    private enum State {
        case size, blank, chunkExtension, sizeEnd
        case data, dataCR, dataLF
        case lineStart, name, value, lineEnd, lastEnd
    }

    private let limits: HTTP1Limits
    private var state = State.size
    private var size: UInt64 = 0    // of this chunk; then what is left of it
    private var digits = 0    // hexadecimal digits of this chunk's size so far
    private var extensionOctets = 0    // of all chunks
    private var trailerOctets = 0
    private var trailers = 0    // fields

    init(limits: HTTP1Limits) { self.limits = limits }

    /// Takes octets from the front of `input`.
    /// - Returns: how many were consumed, and what was found: data, the end, or framing that is not complete.
    /// - Throws: the rule that the framing breaks.
    mutating func next(_ input: Octets) throws(HTTP1Error) -> (consumed: Int, found: Found) {
        var index = 0
        while index < input.count {
            if state == .data {
                let length = Int(clamping: min(size, UInt64(input.count - index)))
                size -= UInt64(length)
                if size == 0 { state = .dataCR }
                return (index + length, .data(input.slice(index, index + length)))
            }
            let isLast = state == .lastEnd
            try take(input[index])
            index += 1
            if isLast { return (index, .end) }
        }
        return (index, .needsMore)
    }

    private mutating func take(_ octet: UInt8) throws(HTTP1Error) {
        switch state {
        case .size: try takeSize(octet)
        case .blank, .chunkExtension: try takeExtension(octet)
        case .sizeEnd:
            try expect(octet, 0x0a)
            digits = 0
            state = size == 0 ? .lineStart : .data
        case .data: break    // `next` passes data on
        case .dataCR:
            try expect(octet, 0x0d)
            state = .dataLF
        case .dataLF:
            try expect(octet, 0x0a)
            state = .size
        case .lineStart, .name, .value, .lineEnd, .lastEnd: try takeTrailer(octet)
        }
    }

    private mutating func takeSize(_ octet: UInt8) throws(HTTP1Error) {
        if let digit = HTTP1Syntax.hexDigit(octet) {
            digits += 1
            guard digits <= 16, size <= UInt64(Int64.max) >> 4 else { throw .invalidChunk }
            size = size << 4 | UInt64(digit)
            return
        }
        guard digits > 0 else { throw .invalidChunk }
        state = .blank
        try takeExtension(octet)
    }

    private mutating func takeExtension(_ octet: UInt8) throws(HTTP1Error) {
        if octet == 0x0d {
            state = .sizeEnd
            return
        }
        extensionOctets += 1
        guard extensionOctets <= limits.extensionOctets else { throw .chunkExtensionTooLarge }
        if state == .blank {
            if octet == UInt8(ascii: ";") { state = .chunkExtension }
            guard octet == UInt8(ascii: ";") || HTTP1Syntax.isBlank(octet) else { throw .invalidChunk }
            return
        }
        guard HTTP1Syntax.isFieldValue(octet) else { throw .invalidChunk }
    }

    private mutating func takeTrailer(_ octet: UInt8) throws(HTTP1Error) {
        trailerOctets += 1
        guard trailerOctets <= limits.trailerOctets else { throw .headersTooLarge }
        switch state {
        case .lineStart where octet == 0x0d: state = .lastEnd
        case .lineStart:
            trailers += 1
            guard trailers <= limits.fields else { throw .tooManyHeaders }
            guard HTTP1Syntax.isToken(octet) else { throw .syntax }
            state = .name
        case .name where octet == UInt8(ascii: ":"): state = .value
        case .name: guard HTTP1Syntax.isToken(octet) else { throw .syntax }
        case .value where octet == 0x0d: state = .lineEnd
        case .value: guard HTTP1Syntax.isFieldValue(octet) else { throw .invalidCharacters }
        case .lineEnd:
            guard octet == 0x0a else { throw .syntax }
            state = .lineStart
        default: guard octet == 0x0a else { throw .syntax }
        }
    }

    private func expect(_ octet: UInt8, _ wanted: UInt8) throws(HTTP1Error) {
        guard octet == wanted else { throw .invalidChunk }
    }
}
