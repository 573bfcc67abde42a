internal import HTTP
internal import Octets
internal import Routing

/// Answers that a rule gives by itself. Source: Istio `HTTPRoute.directResponse`.
enum Respond {
    /// Answers if the rule has an answer of its own.
    static func answer(_ exchange: Exchange) -> StepEnd {
        guard let status = exchange.extras?({ $0.directResponse?.status }) ?? nil else { return .next }
        return .answer(.directResponse(status))
    }

    /// What is answered in a situation.
    static func reply(to situation: Situation, _ exchange: Exchange) -> LocalReply {
        if case .directResponse = situation, let response = exchange.extras?({ $0.directResponse }) ?? nil {
            return LocalReply(situation.outcome, isGRPC: exchange.isGRPC, bytes: response.body)
        }
        return LocalReply(situation, isGRPC: exchange.isGRPC, explanation: exchange.explanation)
    }
}
