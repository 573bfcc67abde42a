internal import Telemetry
package import HTTP
internal import Octets

/// An answer that the gateway makes itself. Plain HTTP gets status and text; gRPC gets HTTP 200 and
/// trailers only, for its clients look at nothing else.
/// Source: docs/behaviour.md, Local replies.
package struct LocalReply {
    /// What the request ended with.
    package let outcome: Outcome
    /// Whether the reply has gRPC's form: trailers alone, with status 200.
    package let isGRPC: Bool
    /// The status code on the wire, which the access log shows too: 200 for gRPC.
    package let status: Int
    /// The body to send; empty for gRPC. HEAD gets the same header fields and no body.
    package let body: String
    /// The body in the place of `body`, if a rule has it as octets.
    package let bytes: [UInt8]?
    /// `grpc-message` before its escaping.
    package let message: String
    /// Whether `grpc-message` has only the beginning of what there is to say.
    package let isCut: Bool
    /// The content type of a gRPC answer.
    var grpcType: Octets = "application/grpc"
    /// `location`; nil for an answer without it.
    var location: [UInt8]?
    /// Octets of `grpc-message` before its escaping; what is longer is cut.
    package static let mostMessageOctets = 1024

    /// - Parameters:
    ///   - isGRPC: by the request's content type, `GRPC.isGRPC`.
    ///   - explanation: what happened in this case, for example `no route matches authority "x"`. gRPC
    ///     callers see it behind the outcome's own words; plain HTTP never does.
    package init(_ situation: Situation, isGRPC: Bool, explanation: String = "") {
        self.init(situation.outcome, isGRPC: isGRPC, explanation: explanation)
    }

    /// Makes the reply of an outcome; `explanation` follows the outcome's own text.
    package init(_ outcome: Outcome, isGRPC: Bool, explanation: String = "") {
        self.outcome = outcome
        self.isGRPC = isGRPC
        status = isGRPC ? 200 : outcome.status
        body = isGRPC ? "" : outcome.body
        bytes = nil
        message = isGRPC ? outcome.words(explanation) : ""
        isCut = message.utf8.count > Self.mostMessageOctets
    }

    /// An answer whose body a rule has. gRPC callers see its beginning as `grpc-message`.
    package init(_ outcome: Outcome, isGRPC: Bool, bytes: [UInt8]) {
        self.outcome = outcome
        self.isGRPC = isGRPC
        status = isGRPC ? 200 : outcome.status
        body = ""
        self.bytes = isGRPC ? nil : bytes
        message = isGRPC ? String(decoding: bytes.prefix(Self.mostMessageOctets), as: UTF8.self) : ""
        isCut = isGRPC && bytes.count > Self.mostMessageOctets
    }

    private var bodyOctets: Int { bytes?.count ?? body.utf8.count }

    /// Gives the answer to the client's session.
    /// - Parameters:
    ///   - hasBody: false for a request of the method HEAD.
    ///   - edit: what the policies of a rule do to the header section.
    /// - Returns: octets of its body.
    func send(
        on session: Session, _ slot: Int, hasBody: Bool, _ services: WorkerServices, editing edit: (HeaderBlock) -> Void
    ) -> Int {
        let block = services.pools.takeBlock()
        write(to: block, editing: edit)
        if isCut { services.metrics.reached(.localMessage) }
        services.prepareForDownstream(block)
        let hasBody = hasBody && bodyOctets > 0
        session.submitResponse(slot, block, isEnd: !hasBody)
        services.pools.letGo(block)
        guard hasBody else { return 0 }
        withBody { session.send(slot, $0) }
        session.finish(slot)
        return bodyOctets
    }

    private func withBody(_ use: (Octets) -> Void) {
        if let bytes { return bytes.withOctets(use) }
        body.withOctets(use)
    }

    /// Fills the block with the head, `:status` first. `date`, `server` and HTTP/1.1's framing and
    /// `connection` are added where header sections are written. On HTTP/2 it ends the stream when `body` is empty.
    /// - Parameter edit: changes the section before the answer's content is described in it.
    package func write(to headers: HeaderBlock, editing edit: (HeaderBlock) -> Void = { _ in }) {
        headers.clear()
        Self.append(":status", decimal: status, to: headers)
        if let location {
            location.withOctets { headers.append(copying: "location", $0) }
        }
        if outcome.flag == .overflow { headers.append(stable: "x-envoy-overloaded", "true") }
        edit(headers)
        if isGRPC {
            headers.set(copying: "content-type", grpcType)
            headers.set(copying: "grpc-status", outcome.grpcStatus.octets)
            appendMessage(to: headers)
            return
        }
        // These have no body, and 204 must not say a length. Source: RFC 9110 §8.6.
        if status == 204 || status == 304 { return }
        Self.append("content-length", decimal: bodyOctets, to: headers)
        guard bodyOctets > 0, headers.first(.contentType) == nil else { return }
        headers.append(stable: "content-type", "text/plain")
    }

    private func appendMessage(to headers: HeaderBlock) {
        guard !message.isEmpty else { return }
        Self.append(grpcMessage: message, to: headers)
    }

    /// Adds `grpc-message`, cut and escaped.
    static func append(grpcMessage message: String, to headers: HeaderBlock) {
        let plain = OctetBuffer(capacity: 256)
        plain.append(text: message)
        let escaped = OctetBuffer(capacity: 256)
        GRPC.writeMessage(plain.octets.prefix(Self.mostMessageOctets), to: escaped)
        headers.set(copying: "grpc-message", headers.copy(escaped.octets))
    }

    private static func append(_ name: Octets, decimal: Int, to headers: HeaderBlock) {
        let digits = OctetBuffer(capacity: 64)
        digits.append(decimal: decimal)
        headers.append(copying: name, digits.octets)
    }
}
