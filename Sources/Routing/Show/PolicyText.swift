internal import Octets

extension RouteExtras {
    /// What the gateway answers by itself, as text behind an arrow; nil if requests go to a destination.
    var answerText: String? {
        if let redirect { return redirect.description }
        guard let response = directResponse else { return nil }
        let body = response.body.isEmpty ? "no body" : "a body of \(response.body.count) octets"
        return "\(response.status), answered by the gateway, \(body)"
    }

    /// The policies of the rule besides its answer, a line each.
    var policyLines: [String] {
        [
            fault.map { "fault: \($0.summary)" }, retries.map { "retries: \($0.summary)" },
            matched.statPrefix.map { "counted in metrics as \($0)" },
        ].compactMap(\.self) + editLines
    }

    /// Those that change what is sent.
    var editLines: [String] {
        var lines: [String] = []
        if let cors { lines.append(cors { $0.description }) }
        if let rewrite { lines.append("rewrite: " + rewrite { $0.description }) }
        if let headers { lines += headers { $0.lines } }
        return lines
    }
}

extension HeaderPolicy {
    fileprivate var lines: [String] {
        var lines: [String] = []
        if let request { lines.append("request headers: \(request)") }
        if let response { lines.append("response headers: \(response)") }
        for (number, destination) in destinations.enumerated() {
            if let request = destination.request {
                lines.append("request headers for destination \(number + 1): \(request)")
            }
            if let response = destination.response {
                lines.append("response headers for destination \(number + 1): \(response)")
            }
        }
        return lines
    }
}

extension HeaderEdits: CustomStringConvertible {
    package var description: String {
        var parts = (0..<removalCount).map { "remove \(removal($0).string)" }
        parts += (0..<setCount).map { "set \(text(of: set($0)))" }
        parts += (0..<additionCount).map { "add \(text(of: addition($0)))" }
        return parts.joined(separator: ", ")
    }

    private func text(of value: Value) -> String {
        let parts = (value.pieces.first..<(value.pieces.first + value.pieces.count)).map { piece($0).description }
        return "\(value.name.string)=\(parts.joined())"
    }
}

extension HeaderEdits.Piece: CustomStringConvertible {
    package var description: String {
        switch kind {
        case .text: text.string
        case .requestField: "{request \(text.string)\(other.isEmpty ? "" : " or \(other.string)")}"
        case .responseField: "{response \(text.string)\(other.isEmpty ? "" : " or \(other.string)")}"
        case .startTime: "{start time \(text.string)}"
        default: "{\(kind)}"
        }
    }
}
