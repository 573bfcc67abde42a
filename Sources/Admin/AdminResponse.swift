internal import Octets

/// An answer of the admin server. It is always complete and never streamed.
struct AdminResponse {
    enum Content {
        case text, metrics, json

        var type: StaticString {
            switch self {
            case .text: "text/plain; charset=utf-8"
            case .metrics: "text/plain; version=0.0.4; charset=utf-8"
            case .json: "application/json"
            }
        }
    }

    var status: Int
    var content = Content.text
    /// The methods that are allowed, for 405.
    var allow: StaticString?
    var body: String

    /// Makes an answer.
    /// - Parameter text: the body; it gets a line feed at its end unless it has one.
    init(_ status: Int, _ text: String, content: Content = .text, allow: StaticString? = nil) {
        self.status = status
        self.content = content
        self.allow = allow
        body = text.hasSuffix("\n") ? text : text + "\n"
    }

    /// Appends the answer to a connection's output.
    /// - Parameters:
    ///   - isHead: whether the request was a HEAD: the header section is the same, and there is no body.
    ///   - isLast: whether the connection is closed after it.
    func write(to output: OctetBuffer, isHead: Bool, isLast: Bool) {
        output.append("HTTP/1.1 ")
        output.append(decimal: status)
        output.append(" ")
        output.append(Octets(reason))
        output.append("\r\ncontent-type: ")
        output.append(Octets(content.type))
        output.append("\r\ncontent-length: ")
        output.append(decimal: body.utf8.count)
        output.append("\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n")
        if let allow {
            output.append("allow: ")
            output.append(Octets(allow))
            output.append("\r\n")
        }
        if isLast { output.append("connection: close\r\n") }
        output.append("\r\n")
        if !isHead { output.append(text: body) }
    }

    private var reason: StaticString {
        switch status {
        case 200: "OK"
        case 400: "Bad Request"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 413: "Content Too Large"
        case 421: "Misdirected Request"
        case 426: "Upgrade Required"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 503: "Service Unavailable"
        case 505: "HTTP Version Not Supported"
        default: "Unknown"
        }
    }
}
