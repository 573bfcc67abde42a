extension RouteExtras {
    /// What the gateway answers by itself, as text behind an arrow; nil if requests go to a destination.
    var answerText: String? {
        guard let response = directResponse else { return nil }
        let body = response.body.isEmpty ? "no body" : "a body of \(response.body.count) octets"
        return "\(response.status), answered by the gateway, \(body)"
    }

    /// What is done on the way to a destination, a line for each policy.
    var policyLines: [String] {
        [fault.map { "fault: \($0.summary)" }, retries.map { "retries: \($0.summary)" }].compactMap(\.self)
    }
}
