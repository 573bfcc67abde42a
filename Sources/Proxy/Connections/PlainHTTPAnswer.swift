internal import Octets

/// What a client hears that speaks clear-text HTTP to a port of TLS, as with other gateways.
enum PlainHTTPAnswer {
    /// Methods begin with a capital letter, and so does HTTP/2's preface; no record of TLS does.
    static func isLikely(_ first: UInt8) -> Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(first) }

    /// Writes the whole answer to a request in clear text.
    static func write(to out: OctetBuffer, date: Octets) {
        let body = "This port speaks TLS: call https:// instead of http://.\n"
        out.append(text: "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n")
        out.append(text: "content-length: \(body.utf8.count)\r\n")
        out.append("date: ")
        out.append(date)
        out.append(text: "\r\nconnection: close\r\n\r\n\(body)")
    }
}
