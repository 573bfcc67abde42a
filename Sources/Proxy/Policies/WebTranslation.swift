internal import Balancing
internal import HTTP
internal import Octets
internal import Routing

/// A request of gRPC-Web. A request of another kind has none.
///
/// Thread: its worker's. Freed by: its `Exchange`, when the request is over.
final class WebCall {
    /// Binary or Base64, as the client has asked.
    var coding: GRPCWeb
    /// Whether the destination's port speaks gRPC, to which the call is translated.
    var isTranslated = false
    /// Octets of the upstream's answer that were translated and have not been credited to the upstream's window.
    var owedOctets = 0

    init(_ coding: GRPCWeb) { self.coding = coding }
}

/// Translates gRPC-Web to gRPC and back, on every route that leads to a port that speaks HTTP/2.
/// Source: grpc/grpc doc/PROTOCOL-WEB.md; docs/behaviour.md, gRPC-Web.
enum WebTranslation {
    /// Notes whether the request is a call of gRPC or of gRPC-Web, which its answer has to suit.
    static func noteKind(of request: HeaderBlock, _ exchange: Exchange) {
        guard let type = request.first(.contentType) else { return }
        exchange.traits.isGRPC = GRPC.isGRPC(contentType: type)
        if !exchange.traits.isGRPC, type.hasPrefix("application/grpc-web") { exchange.web = call(of: request) }
    }

    /// The call, if the request is one of gRPC-Web.
    private static func call(of request: HeaderBlock) -> WebCall? {
        guard let type = request.first(.contentType) else { return nil }
        return GRPCWeb(contentType: type, accept: request.first(named: "accept")).map { WebCall($0) }
    }

    // MARK: the request

    /// The destination is chosen: from here on the call is one of gRPC, if it leads to a port that speaks HTTP/2.
    static func begin(_ web: WebCall, _ exchange: Exchange) -> StepEnd {
        guard exchange.isHTTP2Port else { return .next }
        web.isTranslated = true
        exchange.traits.isGRPC = true
        if let held = exchange.heldBody.take() {
            let isValid = decode(held.octets, web, exchange) { exchange.heldBody = $0 }
            exchange.services.pools.give(held)
            guard isValid else { return .answer(.grpcWebMalformed) }
        }
        return exchange.state.isRequestEnded && !web.coding.mayEnd ? .answer(.grpcWebMalformed) : .next
    }

    /// Makes a try's header section that of a gRPC request.
    static func edit(_ section: HeaderBlock, _ exchange: Exchange) {
        let type = exchange.services.pools.takeBuffer()
        GRPCWeb.writePlainType(of: section.first(.contentType) ?? .empty, to: type)
        section.setOnly(.contentType, to: section.copy(type.octets))
        exchange.services.pools.give(type)
        section.remove(KnownHeaders(.contentLength))
        section.setOnly(.te, to: "trailers")
    }

    /// Octets of the client's body.
    static func requestData(_ octets: Octets, _ web: WebCall, _ exchange: Exchange) {
        guard web.coding.form == .text, exchange.state.answer != .over else { return exchange.passBody(octets) }
        let isValid = decode(octets, web, exchange) { decoded in
            exchange.passBody(decoded.octets)
            exchange.services.pools.give(decoded)
        }
        if !isValid { exchange.answer(.grpcWebMalformed) }
    }

    /// Calls `use` with the octets in their plain form, and opens the client's window for those that are no more.
    /// - Returns: false if the octets are not Base64.
    private static func decode(
        _ octets: Octets, _ web: WebCall, _ exchange: Exchange, _ use: (OctetBuffer) -> Void
    ) -> Bool {
        let decoded = exchange.services.pools.takeBuffer(for: octets.count)
        guard let surplus = web.coding.request(octets, to: decoded) else {
            exchange.services.pools.give(decoded)
            return false
        }
        use(decoded)
        if surplus > 0, let downstream = exchange.downstream { exchange.services.consume(downstream, surplus) }
        return true
    }

    // MARK: the answer

    /// Makes the header section of an answer that of gRPC-Web. One that is no gRPC, such as another gateway's error,
    /// becomes a status without a body.
    /// - Returns: false if nothing of the answer's body is passed on.
    static func edit(answer block: HeaderBlock, _ code: Int, _ web: WebCall, _ exchange: Exchange) -> Bool {
        block.remove(KnownHeaders(.contentLength))
        let type = block.first(.contentType) ?? .empty
        let isPlain = GRPC.isGRPC(contentType: type)
        let isGRPC = code == 200 && (isPlain || GRPCWeb.form(of: type) == .binary)
        if isGRPC || block.grpcStatusCode != nil {
            let written = exchange.services.pools.takeBuffer()
            if isPlain { web.coding.writeType(of: type, to: written) } else { written.append(web.coding.ownType) }
            block.setOnly(.contentType, to: block.copy(written.octets))
            exchange.services.pools.give(written)
            return true
        }
        block.setOnly(.contentType, to: web.coding.ownType)
        let status = GRPC.status(forHTTP: code)
        exchange.tally.grpcStatus = Int(status.rawValue)
        block.setOnly(.grpcStatus, to: status.octets)
        LocalReply.append(
            grpcMessage: "the endpoint answered with the HTTP status \(code) and not with gRPC", to: block)
        return false
    }

    /// Octets of the upstream's answer.
    static func responseData(_ octets: Octets, _ web: WebCall, _ exchange: Exchange, to downstream: Stream) {
        web.owedOctets += octets.count
        send(to: downstream, exchange) { web.coding.response(octets, to: $0) }
    }

    /// The trailers of the answer, as the last frame of its body.
    static func trailers(_ block: HeaderBlock, _ web: WebCall, _ exchange: Exchange, to downstream: Stream) {
        send(to: downstream, exchange) { web.coding.trailers(block, to: $0) }
    }

    private static func send(to downstream: Stream, _ exchange: Exchange, _ write: (OctetBuffer) -> Void) {
        let buffer = exchange.services.pools.takeBuffer()
        write(buffer)
        exchange.tally.sentOctets += buffer.count
        downstream.session.send(downstream.slot, buffer.octets)
        exchange.services.pools.give(buffer)
    }

    /// How many octets the upstream may send again when its client has taken that many: never more than it has sent.
    static func credit(_ taken: Int, _ web: WebCall) -> Int {
        guard web.isTranslated else { return taken }
        let credited = min(taken, web.owedOctets)
        web.owedOctets -= credited
        return credited
    }
}
