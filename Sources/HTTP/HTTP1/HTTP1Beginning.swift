internal import Octets

/// Whether a client's connection begins with what belongs on another port: it is distinguished from other octets that
/// are no HTTP, because mostly a load balancer's settings are the reason.
enum HTTP1Beginning {
    /// Throws the error if the first octets of a connection already show one.
    /// - Returns: false when more octets have to come before that is known.
    @inline(__always)
    static func check(_ input: Octets, _ role: HTTP1Parser.Role) throws(HTTP1Error) -> Bool {
        guard role != .response, !input.isEmpty, let suspect = suspect(input[0]) else { return true }
        return try confirm(suspect, input, role)
    }

    private enum Suspect { case tls, line, binary }

    @inline(__always)
    private static func suspect(_ first: UInt8) -> Suspect? {
        switch first {
        case 0x16: .tls
        case UInt8(ascii: "P"): .line
        case 0x0d: .binary
        default: nil
        }
    }

    /// Source: RFC 8446 §5.1; https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt (§2.1, §2.2).
    private static func confirm(
        _ suspect: Suspect, _ input: Octets, _ role: HTTP1Parser.Role
    ) throws(HTTP1Error) -> Bool {
        switch suspect {
        case .tls:
            // A record of TLS within TLS is nothing that a setting explains.
            if role == .request(.http) { throw .tlsOnClearText }
        case .line:
            // No method of a request: what follows is no target.
            if lines.contains(where: { input.hasPrefix($0) }) { throw .proxyHeaderUnexpected }
        case .binary:
            // Two empty lines may be nothing else, but they are no request either.
            if input.hasPrefix(signature) { throw .proxyHeaderUnexpected }
            return !signature.hasPrefix(input)
        }
        return true
    }

    private static let lines: [Octets] = ["PROXY TCP4 ", "PROXY TCP6 ", "PROXY UNKNOWN"]
    /// The first octets of its signature, one more than two empty lines.
    private static let signature: Octets = "\r\n\r\n\0"
}
