internal import Balancing

/// What standard error says of ejections: a line for each, and one for those beyond a number of lines.
enum EjectionText {
    /// Lines at a time; a cluster that fails as a whole would say the same thousands of times.
    private static let most = 20

    /// A line for the log about each ejection and its end; of omitted events, the number.
    static func lines(of events: [(cluster: String, event: OutlierEvent)]) -> [String] {
        var lines: [String] = []
        var omitted = 0
        for (cluster, event) in events {
            if case .omitted(let count) = event {
                omitted += count
            } else if lines.count < most {
                lines.append("\(cluster): \(sentence(event))")
            } else {
                omitted += 1
            }
        }
        if omitted > 0 { lines.append("\(omitted) more endpoints were ejected or came back at the same time") }
        return lines
    }

    private static func sentence(_ event: OutlierEvent) -> String {
        switch event {
        case .ejected(let endpoint, let cause, let time):
            "endpoint \(endpoint) is ejected for \(time.text): \(cause.rawValue)"
        case .returned(let endpoint): "endpoint \(endpoint) is used again"
        case .omitted(let count): "\(count) more"
        }
    }
}

extension Duration {
    fileprivate var text: String {
        let (seconds, attoseconds) = components
        return attoseconds == 0 ? "\(seconds) s" : "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000) ms"
    }
}
