package import Octets

/// What a gateway knows of gRPC: which requests speak it, its status codes and how they stand in header fields.
/// Source: grpc/grpc doc/PROTOCOL-HTTP2.md, doc/http-grpc-status-mapping.md.
package enum GRPC {
    /// The sixteen status codes and `ok`.
    package enum Status: UInt8, Sendable, CaseIterable {
        case ok, cancelled, unknown, invalidArgument, deadlineExceeded, notFound, alreadyExists
        case permissionDenied, resourceExhausted, failedPrecondition, aborted, outOfRange
        case unimplemented, `internal`, unavailable, dataLoss, unauthenticated

        /// The decimal number, as `grpc-status` carries it.
        package var octets: Octets {
            let all: StaticString = "0001020304050607080910111213141516"
            let start = Int(rawValue) * 2
            return Octets(all).slice(rawValue < 10 ? start + 1 : start, start + 2)
        }
    }

    /// Envoy's rule: `application/grpc` or what begins with `application/grpc+`, by letter case too.
    package static func isGRPC(contentType: Octets) -> Bool {
        guard contentType.hasPrefix("application/grpc") else { return false }
        return contentType.count == 16 || contentType[16] == UInt8(ascii: "+")
    }

    /// The status for an answer that the gateway makes itself. Envoy's table but for 429: answered 14 it
    /// would invite the client to try again at once, which a limit wants least.
    package static func status(forHTTP status: Int) -> Status {
        switch status {
        case 400: .internal
        case 401: .unauthenticated
        case 403: .permissionDenied
        case 404: .unimplemented
        case 429: .resourceExhausted
        case 502, 503, 504: .unavailable
        default: .unknown
        }
    }

    /// Writes a `grpc-message`: what is not printable ASCII, and `%`, becomes `%XX`.
    package static func writeMessage(_ text: Octets, to output: OctetBuffer) {
        for index in 0..<text.count {
            let octet = text[index]
            if octet >= 0x20, octet < 0x7f, octet != UInt8(ascii: "%") {
                output.append(octet)
                continue
            }
            output.append(UInt8(ascii: "%"))
            output.append(hexDigit(octet >> 4))
            output.append(hexDigit(octet & 15))
        }
    }

    private static func hexDigit(_ digit: UInt8) -> UInt8 { digit < 10 ? 0x30 + digit : 0x37 + digit }
}
