internal import Octets

/// Turns a complete head into a header block and the facts about the message.
/// The head is copied into the block once; names, values and path are slices of that copy.
enum HTTP1HeadReader {
    /// Reads the complete head of a request, its empty line included.
    /// - Parameter headers: takes the fields, with pseudo-header fields in front as on HTTP/2.
    /// - Throws: why the request is not passed on.
    static func request(
        _ head: Octets, scheme: HTTP1Parser.Scheme, limits: HTTP1Limits, into headers: HeaderBlock
    ) throws(HTTP1Error) -> HTTP1Head {
        var lines = HTTP1Lines(headers.copy(head))
        guard let first = lines.next() else { throw .syntax }
        let line = try HTTP1RequestLine(first, scheme: scheme)
        let takesHost = appendStart(line, scheme: scheme, to: headers)
        let fields = try HTTP1Fields(lines, limits: limits, isRequest: true, into: headers)
        var framing = try fields.framing() ?? .none
        let isOld = line.minorVersion == 0
        if isOld { try checkHTTP10(framing, headers) }
        if !isOld, fields.upgrade == .webSocket, line.method == "GET", framing == .none || framing == .length(0) {
            // As RFC 8441 §4 says it on HTTP/2.
            headers.append(stable: ":protocol", .protocol, "websocket")
            framing = .untilClose
        }
        let host = isOld && !limits.needsHostInOld && fields.hosts == 0 ? Octets.empty : try host(fields)
        if takesHost { headers.replaceFirst(.authority, with: host) }
        return HTTP1Head(
            framing: framing, isKeepAlive: !fields.isCloseAsked && (!isOld || fields.isKeepAliveAsked),
            expectsContinue: fields.expectsContinue && !isOld, upgrade: isOld ? .none : fields.upgrade,
            minorVersion: line.minorVersion, status: 0)
    }

    /// HTTP/1.0 knows no chunks: with `transfer-encoding`, servers differ in where the request ends. What asks for a
    /// part of HTTP/1.1 is disregarded. Source: RFC 9112 §6.1, RFC 9110 §7.8, §10.1.1.
    private static func checkHTTP10(_ framing: HTTP1Framing, _ headers: HeaderBlock) throws(HTTP1Error) {
        if framing == .chunked { throw .transferEncodingNotAllowed }
        headers.remove(KnownHeaders(.expect))
    }

    /// Reads the complete head of a response.
    /// - Parameter toHead: it answers a HEAD request, so no body follows.
    /// - Throws: why the response is not passed on.
    static func response(
        _ head: Octets, toHead: Bool, limits: HTTP1Limits, into headers: HeaderBlock
    ) throws(HTTP1Error) -> HTTP1Head {
        var lines = HTTP1Lines(headers.copy(head))
        guard let first = lines.next() else { throw .syntax }
        let line = try HTTP1StatusLine(first)
        headers.append(stable: ":status", line.code)
        let fields = try HTTP1Fields(
            lines, limits: limits, isRequest: false, into: headers, withoutContentLength: isBodiless(line.status))
        let announced = isBodiless(line.status) ? nil : try fields.framing()
        let framing = try responseFraming(line, announced, toHead: toHead)
        // An upstream that announces a body where none can be may also send it. The next response would then seem to
        // begin inside that body.
        let announcesBody = isBodiless(line.status) && fields.announcesBody
        let isKept = (line.minorVersion == 1 || fields.isKeepAliveAsked) && !announcesBody
        return HTTP1Head(
            framing: framing, isKeepAlive: isKept && !fields.isCloseAsked && framing != .untilClose,
            expectsContinue: false, upgrade: fields.upgrade, minorVersion: line.minorVersion,
            status: line.status)
    }

    /// Exactly one, also beside an absolute target. Source: RFC 9112 §3.2.
    private static func host(_ fields: HTTP1Fields) throws(HTTP1Error) -> Octets {
        guard let host = fields.host else { throw .missingHost }
        guard fields.hosts == 1 else { throw .duplicateHost }
        guard HTTP1Syntax.isAuthority(host) else { throw .invalidAuthority }
        return host
    }

    /// The pseudo-header fields of HTTP/2. Source: RFC 9113 §8.3.1.
    /// - Returns: whether the value of `host` belongs into `:authority`, which is empty; false when the line has one.
    private static func appendStart(
        _ line: HTTP1RequestLine, scheme: HTTP1Parser.Scheme, to headers: HeaderBlock
    ) -> Bool {
        headers.append(stable: ":method", line.method)
        if case .authority(let authority) = line.form {    // CONNECT has neither scheme nor path
            headers.append(stable: ":authority", authority)
            return false
        }
        headers.append(stable: ":scheme", scheme == .https ? "https" : "http")
        switch line.form {
        case .absolute(let authority, let path):
            headers.append(stable: ":authority", authority)
            headers.append(stable: ":path", self.path(path, method: line.method, in: headers))
            return false
        case .origin(let path):
            headers.append(stable: ":authority", .empty)
            headers.append(stable: ":path", path)
        case .asterisk, .authority:
            headers.append(stable: ":authority", .empty)
            headers.append(stable: ":path", "*")
        }
        return true
    }

    /// The path of an absolute target in origin form. Source: RFC 9112 §3.2.1, §3.2.4.
    private static func path(_ path: Octets, method: Octets, in headers: HeaderBlock) -> Octets {
        if path.isEmpty { return method == "OPTIONS" ? "*" : "/" }
        if path[0] == UInt8(ascii: "/") { return path }
        let text = [UInt8(ascii: "/")] + path.array
        return text.withOctets { headers.copy($0) }
    }

    /// Source: RFC 9112 §6.3, rules 1, 3, 4, 5 and 8.
    private static func responseFraming(
        _ line: HTTP1StatusLine, _ announced: HTTP1Framing?, toHead: Bool
    ) throws(HTTP1Error) -> HTTP1Framing {
        if line.status == 101 { return .untilClose }
        // They have no body, whatever their fields say.
        if isBodiless(line.status) { return .none }
        if announced == .chunked, line.minorVersion == 0 { throw .transferEncodingNotAllowed }
        if toHead || line.status == 304 { return .none }
        return announced ?? .untilClose
    }

    private static func isBodiless(_ status: UInt16) -> Bool { status < 200 || status == 204 }
}
