package import Octets

/// gRPC for browsers, which can neither send nor read trailers: the trailers of a response are the last frame of its
/// body, and in the text form all frames are in Base64. This is the translation of one request and its response.
/// Source: grpc/grpc doc/PROTOCOL-WEB.md.
package struct GRPCWeb {
    /// How the frames are written.
    package enum Form: Equatable, Sendable {
        /// `application/grpc-web`, with or without `+proto` and the like.
        case binary
        /// `application/grpc-web-text`: in Base64.
        case text
    }

    package let form: Form
    /// The form of the response: what the request's `accept` names, else the request's own.
    package let answerForm: Form
    private var decoder = Base64Decoder()
    private var encoder = Base64Encoder()
    private var messages = GRPCMessageBoundary()    // of the response

    /// The translation of one request and its response.
    /// - Parameters:
    ///   - contentType: the request's; nil is returned for any that is not gRPC-Web's.
    ///   - accept: the request's.
    package init?(contentType: Octets, accept: Octets? = nil) {
        guard let form = Self.form(of: contentType) else { return nil }
        self.form = form
        answerForm = accept.flatMap(Self.form) ?? form
    }

    private static let prefix: Octets = "application/grpc-web"

    /// The form that a content type names; nil for one that is not gRPC-Web's.
    package static func form(of type: Octets) -> Form? {
        guard type.hasPrefix(prefix) else { return nil }
        let rest = type.dropFirst(prefix.count)
        let isText = rest.hasPrefix("-text")
        let suffix = isText ? rest.dropFirst(5) : rest
        guard suffix.isEmpty || suffix[0] == UInt8(ascii: "+") || suffix[0] == UInt8(ascii: ";") else { return nil }
        return isText ? .text : .binary
    }

    // MARK: the request

    /// Writes the content type that the same message has in gRPC: `application/grpc+proto` for
    /// `application/grpc-web-text+proto`. Parameters (`; charset=…`) are left out.
    package static func writePlainType(of type: Octets, to output: OctetBuffer) {
        guard let form = form(of: type) else { return output.append(type) }
        let suffix = type.dropFirst(prefix.count + (form == .text ? 5 : 0))
        output.append("application/grpc" as Octets)
        output.append(suffix.prefix(suffix.firstIndex(of: UInt8(ascii: ";")) ?? suffix.count))
    }

    /// Translates octets of the request's body.
    /// - Returns: how many of the octets that came so far are done with and not in the output; nil when they are not
    ///   Base64, in the text form.
    package mutating func request(_ octets: Octets, to output: OctetBuffer) -> Int? {
        let before = output.count
        guard form == .text else {
            output.append(octets)
            return 0
        }
        let open = decoder.openDigits
        guard decoder.decode(octets, to: output) else { return nil }
        // Four digits make three octets or less, so this is never below zero.
        return open + octets.count - decoder.openDigits - (output.count - before)
    }

    /// Whether the request's body may end here: no group of Base64 is open.
    package var mayEnd: Bool { decoder.openDigits == 0 }

    // MARK: the response

    /// The content type of answers that are not an upstream's.
    package var ownType: Octets {
        answerForm == .text ? "application/grpc-web-text+proto" : "application/grpc-web+proto"
    }

    /// Writes the content type of the response: `application/grpc-web-text+proto` for `application/grpc+proto`.
    /// What is not gRPC stays as it is.
    package func writeType(of plain: Octets, to output: OctetBuffer) {
        guard GRPC.isGRPC(contentType: plain) else { return output.append(plain) }
        output.append(Self.prefix)
        if answerForm == .text { output.append("-text" as Octets) }
        output.append(plain.count > 16 ? plain.dropFirst(16) : "+proto")
    }

    /// Translates octets of the response's body. In the text form, padding stands between messages only, so that a
    /// browser can decode every message as soon as it has come.
    package mutating func response(_ octets: Octets, to output: OctetBuffer) {
        guard answerForm == .text else { return output.append(octets) }
        messages.pass(octets)
        encoder.encode(octets, to: output)
        if messages.isBetweenMessages { encoder.pad(to: output) }
    }

    /// Writes the last frame of a response's body: its trailers, as lines of an HTTP/1.1 header section.
    package mutating func trailers(_ trailers: HeaderBlock, to output: OctetBuffer) {
        let lines = OctetBuffer(capacity: 256)
        for field in trailers.fields {
            guard field.name.first != UInt8(ascii: ":"), !field.known.isHopByHop, HTTP1Syntax.isToken(field.name),
                HTTP1Syntax.isFieldValue(field.value)
            else { continue }
            lines.append(field.name)
            lines.append(":" as Octets)
            lines.append(field.value)
            lines.append("\r\n" as Octets)
        }
        let frame = OctetBuffer(capacity: lines.count + 64)
        frame.append(0x80)    // the most significant bit says: trailers
        let length = UInt32(clamping: lines.count)
        for shift in [24, 16, 8, 0] as [UInt32] { frame.append(UInt8(truncatingIfNeeded: length >> shift)) }
        frame.append(lines.octets)
        guard answerForm == .text else { return output.append(frame.octets) }
        encoder.encode(frame.octets, to: output)
        encoder.pad(to: output)
    }
}
