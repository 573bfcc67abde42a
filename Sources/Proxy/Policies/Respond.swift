internal import HTTP
internal import Octets
internal import Routing

/// Answers that a rule gives by itself, and what the policies of a rule do to answers.
/// Source: Istio `HTTPRoute.directResponse`, `HTTPRoute.redirect`; docs/behaviour.md, Header operations and rewrites.
enum Respond {
    /// Answers if the rule has an answer of its own.
    static func answer(_ exchange: Exchange) -> StepEnd {
        guard let extras = exchange.extras else { return .next }
        if let status = extras({ $0.redirect?.status }) { return .answer(.redirect(status)) }
        if let status = extras({ $0.directResponse?.status }) { return .answer(.directResponse(status)) }
        return .next
    }

    /// What is answered in a situation.
    static func reply(to situation: Situation, _ exchange: Exchange) -> LocalReply {
        var reply = self.reply(to: situation, isGRPC: exchange.traits.isGRPC || exchange.web != nil, exchange)
        if let web = exchange.web { reply.grpcType = web.coding.ownType }
        return reply
    }

    private static func reply(to situation: Situation, isGRPC: Bool, _ exchange: Exchange) -> LocalReply {
        if case .directResponse = situation, let response = exchange.extras?({ $0.directResponse }) ?? nil {
            return LocalReply(situation.outcome, isGRPC: isGRPC, bytes: response.body)
        }
        // A browser has asked for it, whatever the call that it prepares is.
        let isCall = isGRPC && situation != .corsPreflight
        return LocalReply(situation, isGRPC: isCall, explanation: exchange.explanation)
    }

    /// Edits the header section of an answer that the gateway makes, before its content is described.
    static func edit(_ block: HeaderBlock, in situation: Situation, _ exchange: Exchange) {
        guard let extras = exchange.extras else { return }
        switch situation {
        case .corsPreflight: return Cors.writePreflight(to: block, exchange)
        case .faultInjected: return    // Envoy answers before the rule's policies on answers
        case .redirect: writeLocation(extras, to: block, exchange)
        default: break
        }
        // With too many octets they are left out: nothing that may be said is said then.
        _ = editAnswer(block, exchange)
    }

    /// Edits the header section of an answer: header operations, of the destination before the rule's, and CORS.
    /// - Returns: false if the operations make more octets than they may.
    static func editAnswer(_ block: HeaderBlock, _ exchange: Exchange) -> Bool {
        if let headers = exchange.extras?({ $0.headers }) ?? nil {
            let own = headers { $0.response(for: exchange.destinationIndex).unretained }
            if let own, !HeaderEditing.apply(own, to: block, of: .response, exchange) { return false }
            let all = headers { $0.response.unretained }
            if let all, !HeaderEditing.apply(all, to: block, of: .response, exchange) { return false }
        }
        Cors.allow(block, exchange)
        return true
    }

    private static func writeLocation(
        _ extras: Unretained<RouteExtras>, to block: HeaderBlock, _ exchange: Exchange
    ) {
        guard let downstream = exchange.downstream, let request = exchange.request.unretained else { return }
        let asked = downstream.connection { connection in
            Redirect.Request(
                scheme: ClientTrust.scheme(of: exchange),
                authority: request { $0.first(.authority) ?? $0.first(.host) ?? .empty }, path: exchange.path,
                // That in which the route was found: the connection may have let go of it, while a fault delayed it.
                port: exchange.currentSnapshot?({ $0.served(connection.listener).map { Int($0.gatewayPort) } }) ?? nil)
        }
        exchange.services.headerScratch { scratch in
            scratch.beginValue()
            guard extras({ $0.redirect?.write(for: asked, to: scratch.buffer) }) ?? false else { return }
            block.append(stable: "location", HeaderText.made(scratch.buffer.octets, in: block))
        }
    }
}
