internal import Octets

extension RouteExtras {
    /// What the gateway answers by itself, as text behind an arrow; nil if requests go to a destination.
    var answerText: String? {
        if let redirect { return redirect.description }
        guard let response = directResponse else { return nil }
        let body = response.body.isEmpty ? "no body" : "a body of \(response.body.count) octets"
        return "\(response.status), answered by the gateway, \(body)"
    }

    /// What the rule says besides its answer and its destinations, in the order in which it is shown. The tree of
    /// routes and its JSON are written from this list alone: one entry shows a new field in both.
    var policies: [ShownPolicy] {
        var shown = [
            fault.map { ShownPolicy(field: "fault", $0.summary) },
            retries.map { ShownPolicy(field: "retries", $0.summary) },
            matched.statPrefix.map { ShownPolicy(field: "statPrefix", $0, line: "counted in metrics as \($0)") },
        ].compactMap(\.self)
        if let cors { shown.append(ShownPolicy(cors { $0.description })) }
        if let rewrite { shown.append(ShownPolicy("rewrite: " + rewrite { $0.description })) }
        if let headers { shown += headers { $0.lines }.map { ShownPolicy($0) } }
        return shown
    }
}

/// One policy of a rule as the tree and its JSON show it.
struct ShownPolicy {
    /// The field of JSON that has the value; nil: it is one of the texts of `policies`.
    let field: String?
    let value: String
    /// In the tree of routes.
    let line: String

    /// A policy with a field of its own, whose line is its name with the value unless another one is given.
    init(field: String, _ value: String, line: String? = nil) {
        self.field = field
        self.value = value
        self.line = line ?? "\(field): \(value)"
    }

    /// A policy among the others: the text is its line, too.
    init(_ text: String) {
        field = nil
        value = text
        line = text
    }
}

extension HeaderPolicy {
    fileprivate var lines: [String] {
        var lines: [String] = []
        if let request { lines.append("request headers: \(request)") }
        if let response { lines.append("response headers: \(response)") }
        for (index, destination) in destinations.enumerated() {
            if let request = destination.request {
                lines.append("request headers for destination \(index + 1): \(request)")
            }
            if let response = destination.response {
                lines.append("response headers for destination \(index + 1): \(response)")
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
