package import Octets

/// Why a head cannot be written. Nothing was written then.
package enum HTTP1WriteError: Error, Equatable, Sendable {
    /// The method is missing or not a token, or the method is CONNECT.
    case invalidMethod
    /// The path is missing or has octets that would end the request line.
    case invalidTarget
    case invalidAuthority
    /// `:status` is missing or not three digits.
    case invalidStatus
}

/// Writes HTTP/1.1 messages from header blocks. Framing and `connection` are made here and never copied
/// from the block; a field whose name or value could end its line is left out, whoever put it there.
package enum HTTP1Serializer {
    /// What the `connection` field says.
    package enum Connection: Equatable, Sendable {
        case keep, close, upgradeToWebSocket
        /// Says so, as HTTP/1.0 has to.
        case keepAlive
    }

    /// Writes a request's head: line, `host`, the block's fields, framing.
    /// - Parameters:
    ///   - path: in place of the block's `:path`, for example after a rewrite.
    ///   - framing: `.none` writes `content-length: 0` where the method or the block suggest a body.
    package static func writeRequest(
        _ headers: HeaderBlock, path: Octets? = nil, authority: Octets? = nil, framing: HTTP1Framing,
        connection: Connection = .keep, to output: OctetBuffer
    ) throws(HTTP1WriteError) {
        let method = headers.first(.method) ?? .empty
        let target = path ?? headers.first(.path) ?? .empty
        let host = authority ?? headers.first(.authority) ?? headers.first(.host) ?? .empty
        guard HTTP1Syntax.isToken(method), method != "CONNECT" else { throw .invalidMethod }
        guard isOriginTarget(target, method: method) else { throw .invalidTarget }
        guard HTTP1Syntax.isAuthority(host) else { throw .invalidAuthority }
        output.append(method)
        output.append(0x20)
        output.append(target)
        output.write(" HTTP/1.1\r\nhost: ")
        output.append(host)
        output.write("\r\n")
        writeFields(headers, framing: framing, mayKeepLength: false, to: output)
        let suggestsBody =
            headers.first(.contentLength) != nil || method == "POST" || method == "PUT"
            || method == "PATCH"
        if framing == .none, suggestsBody { output.write("content-length: 0\r\n") }
        writeEnd(framing, connection, to: output)
    }

    /// Writes the whole of a connection's last answer, which says that the connection is closed.
    /// - Parameters:
    ///   - body: a plain text, or nothing.
    ///   - date: for the field `date`, as RFC 9110 §5.6.7 writes it.
    static func writeLast(status: Int, body: Octets, date: Octets, to output: OctetBuffer) {
        output.append(text: "HTTP/1.1 \(status) \(reason(UInt64(status)))\r\n")
        output.append(text: "content-length: \(body.count)\r\n")
        if !body.isEmpty { output.append(text: "content-type: text/plain\r\n") }
        output.append(text: "server: portico\r\ndate: ")
        output.append(date)
        output.append(text: "\r\nconnection: close\r\n\r\n")
        output.append(body)
    }

    /// Writes a response's head: status line, the block's fields, framing.
    /// - Parameter framing: `.none` for answers to HEAD, 1xx, 204 and 304 only; an empty body is
    ///   `.length(0)`. Of HEAD and 304 the block's `content-length` is kept.
    /// - Parameter isOld: the client speaks HTTP/1.0.
    package static func writeResponse(
        _ headers: HeaderBlock, framing: HTTP1Framing, connection: Connection = .keep, isOld: Bool = false,
        to output: OctetBuffer
    ) throws(HTTP1WriteError) {
        guard let text = headers.first(.status), text.count == 3, let status = HTTP1Syntax.length(text),
            status >= 100
        else { throw .invalidStatus }
        output.write(isOld ? "HTTP/1.0 " : "HTTP/1.1 ")
        output.append(text)
        output.append(0x20)
        output.append(Octets(reason(status)))
        output.write("\r\n")
        let isBodiless = status < 200 || status == 204
        let framing = isBodiless ? .none : framing
        writeFields(headers, framing: framing, mayKeepLength: !isBodiless, to: output)
        writeEnd(framing, connection, to: output)
    }

    /// Writes a part of a chunked body as one chunk; nothing for no octets, for that would be the end.
    package static func writeChunk(_ data: Octets, to output: OctetBuffer) {
        guard !data.isEmpty else { return }
        writeChunkStart(data.count, to: output)
        output.append(data)
        output.write("\r\n")
    }

    /// Writes the line in front of a chunk's octets; `length` must not be 0, `\r\n` goes behind them.
    package static func writeChunkStart(_ length: Int, to output: OctetBuffer) {
        precondition(length > 0)
        let digits = (67 - length.leadingZeroBitCount) / 4
        for index in (0..<digits).reversed() {
            let digit = UInt8(truncatingIfNeeded: length >> (index * 4)) & 15
            output.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
        output.write("\r\n")
    }

    /// Ends a chunked body. Fields that say where a message ends or who speaks are no trailers.
    /// Source: RFC 9112 §7.1.2, RFC 9110 §6.5.1.
    package static func writeLastChunk(trailers: HeaderBlock? = nil, to output: OctetBuffer) {
        output.write("0\r\n")
        if let trailers {
            for field in trailers.fields {
                switch field.known {
                case .method, .scheme, .authority, .path, .status, .protocol, .host, .contentLength, .te, .trailer,
                    .cookie:
                    continue
                default: break
                }
                guard !field.known.isHopByHop, field.known.isExact || HTTP1Syntax.isToken(field.name) else { continue }
                writeField(field.name, field.value, to: output)
            }
        }
        output.write("\r\n")
    }

    private static func writeFields(
        _ headers: HeaderBlock, framing: HTTP1Framing, mayKeepLength: Bool, to output: OctetBuffer
    ) {
        var cookiesWritten = false
        for index in 0..<headers.count {
            let field = headers.field(at: index)
            if madeHere.contains(field.known) {
                if field.known == .cookie, !cookiesWritten {
                    writeCookies(headers, from: index, to: output)
                    cookiesWritten = true
                }
                guard mayKeepLength, framing == .none, field.known == .contentLength,
                    HTTP1Syntax.length(field.value) != nil
                else { continue }
            }
            // Known names are our own texts.
            guard field.known.isExact || HTTP1Syntax.isToken(field.name) else { continue }
            writeField(field.name, field.value, to: output)
        }
    }

    /// Kinds that are left out, or not written as they are.
    @inline(__always)
    private static var madeHere: KnownHeaders {
        KnownHeaders.hopByHop | .method | .scheme | .authority | .path | .status | .protocol | .host | .contentLength
            | .cookie
    }

    @inline(__always)
    private static func writeField(_ name: Octets, _ value: Octets, to output: OctetBuffer) {
        guard HTTP1Syntax.isFieldValue(value) else { return }
        let length = name.count + value.count + 4
        let room = unsafe output.room(length).baseAddress.unsafelyUnwrapped
        unsafe put(name, at: room)
        unsafe room.storeBytes(of: UInt16(0x3a20).bigEndian, toByteOffset: name.count, as: UInt16.self)
        unsafe put(value, at: room + (name.count + 2))
        unsafe room.storeBytes(of: UInt16(0x0d0a).bigEndian, toByteOffset: length - 2, as: UInt16.self)
        output.commit(length)
    }

    @inline(__always)
    private static func put(_ octets: Octets, at room: UnsafeMutableRawPointer) {
        if let base = unsafe octets.base { unsafe Octets.copy(base, to: room, octets.count) }
    }

    /// HTTP/2 may split `cookie` into crumbs; HTTP/1.1 has one line. Source: RFC 9113 §8.2.3.
    private static func writeCookies(_ headers: HeaderBlock, from start: Int, to output: OctetBuffer) {
        var separator: Octets = "cookie: "
        for index in start..<headers.count {
            let field = headers.field(at: index)
            guard field.known == .cookie, HTTP1Syntax.isFieldValue(field.value) else { continue }
            output.append(separator)
            output.append(field.value)
            separator = "; "
        }
        if separator.count == 2 { output.write("\r\n") }
    }

    private static func writeEnd(
        _ framing: HTTP1Framing, _ connection: Connection, to output: OctetBuffer
    ) {
        switch framing {
        case .none, .untilClose: break
        case .chunked: output.write("transfer-encoding: chunked\r\n")
        case .length(let length):
            output.write("content-length: ")
            output.append(decimal: Int(clamping: length))
            output.write("\r\n")
        }
        switch connection {
        case .keep: break
        case .close: output.write("connection: close\r\n")
        case .keepAlive: output.write("connection: keep-alive\r\n")
        case .upgradeToWebSocket: output.write("connection: upgrade\r\nupgrade: websocket\r\n")
        }
        output.write("\r\n")
    }

    private static func isOriginTarget(_ target: Octets, method: Octets) -> Bool {
        guard HTTP1Syntax.isTarget(target) else { return false }
        return target[0] == UInt8(ascii: "/") || (target == "*" && method == "OPTIONS")
    }
}

extension OctetBuffer {
    /// `append` has an overload for `StaticString`; a literal alone would fit both.
    fileprivate func write(_ text: Octets) { append(text) }
}

extension HTTP1Serializer {
    /// The words behind the status code. Source: RFC 9110 §15, RFC 6585, RFC 8297.
    static func reason(_ status: UInt64) -> StaticString {
        switch status {
        case 200: "OK"
        case 100..<200: interimReason(status)
        case 200..<400: goodReason(status)
        case 400..<500: clientReason(status)
        default: serverReason(status)
        }
    }

    private static func interimReason(_ status: UInt64) -> StaticString {
        switch status {
        case 100: "Continue"
        case 101: "Switching Protocols"
        case 103: "Early Hints"
        default: "Unknown"
        }
    }

    private static func goodReason(_ status: UInt64) -> StaticString {
        switch status {
        case 201: "Created"
        case 202: "Accepted"
        case 203: "Non-Authoritative Information"
        case 204: "No Content"
        case 205: "Reset Content"
        case 206: "Partial Content"
        case 300: "Multiple Choices"
        case 301: "Moved Permanently"
        case 302: "Found"
        case 303: "See Other"
        case 304: "Not Modified"
        case 307: "Temporary Redirect"
        case 308: "Permanent Redirect"
        default: "Unknown"
        }
    }

    private static func clientReason(_ status: UInt64) -> StaticString {
        switch status {
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 406: "Not Acceptable"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 410: "Gone"
        case 411: "Length Required"
        case 412: "Precondition Failed"
        case 413: "Payload Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 416: "Range Not Satisfiable"
        case 417: "Expectation Failed"
        case 421: "Misdirected Request"
        case 422: "Unprocessable Content"
        case 426: "Upgrade Required"
        case 428: "Precondition Required"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        default: "Unknown"
        }
    }

    private static func serverReason(_ status: UInt64) -> StaticString {
        switch status {
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: "Unknown"
        }
    }
}
