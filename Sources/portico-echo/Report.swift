/// The results of the calls: which servers answered, with which status, and how fast.
struct Report {
    private var hosts: [String: Int] = [:]
    private var statuses: [Int: Int] = [:]
    private var messages: [String: Int] = [:]
    private var replies: [CallOutcome.Reply: Int] = [:]
    private var microseconds: [UInt32] = []
    private(set) var elapsed: Duration = .zero
    /// How many distinct messages are kept. Further ones are counted by their status only.
    private static let messageLimit = 10

    /// The status of a call without an answer.
    static let unanswered = -1

    /// Counts a call that is over.
    /// - Parameters:
    ///   - host: which server has answered; empty if it did not say so.
    ///   - message: why there was no answer; empty if there was one.
    mutating func add(
        host: String, status: Int, message: String, reply: CallOutcome.Reply, nanoseconds: UInt64
    ) {
        replies[reply, default: 0] += 1
        if !host.isEmpty { hosts[host, default: 0] += 1 }
        statuses[status, default: 0] += 1
        if !message.isEmpty, messages[message] != nil || messages.count < Self.messageLimit {
            messages[message, default: 0] += 1
        }
        microseconds.append(UInt32(clamping: nanoseconds / 1000))
    }

    /// No call follows: takes the time of all of them together, and puts their own times in order for percentiles.
    mutating func end(nanoseconds: UInt64) {
        elapsed = .nanoseconds(Int64(clamping: nanoseconds))
        microseconds.sort()
    }

    /// Whether all calls had the expected status.
    func isAsExpected(_ order: Order) -> Bool {
        let areOwn = !order.checksReplies || order.expectedStatus != 0 || replies[.own] == order.calls
        return statuses[order.expectedStatus] == order.calls && replies[.foreign] == nil && areOwn
    }

    /// The whole report, for people: times, then how often each server, status and failure came.
    func text(of order: Order) -> String {
        let connections = order.connections == 1 ? "1 connection" : "\(order.connections) connections"
        var lines = [
            "\(microseconds.count) calls in \(Self.milliseconds(elapsed)) ms over \(connections): "
                + "p50 \(percentile(50)) ms, p99 \(percentile(99)) ms"
        ]
        for (host, count) in hosts.sorted(by: { $0.key < $1.key }) { lines.append(row(host, count)) }
        for (status, count) in statuses.sorted(by: { $0.key < $1.key }) {
            lines.append(row(Self.name(status, order), count))
        }
        if order.checksReplies {
            lines.append(row("replies of its own", replies[.own] ?? 0))
            lines.append(row("replies of another call", replies[.foreign] ?? 0))
        }
        for (message, count) in messages.sorted(by: { $0.key < $1.key }) { lines.append("  \(count) × \(message)") }
        return lines.joined(separator: "\n")
    }

    private func row(_ name: String, _ count: Int) -> String {
        let permille = count * 1000 / max(microseconds.count, 1)
        let padding = String(repeating: " ", count: max(1, 28 - name.count))
        let number = String(count)
        let gap = String(repeating: " ", count: max(0, 8 - number.count))
        return "  \(name)\(padding)\(gap)\(number)   \(permille / 10).\(permille % 10) %"
    }

    private func percentile(_ percent: Int) -> String {
        guard !microseconds.isEmpty else { return "0" }
        let index = min(microseconds.count - 1, microseconds.count * percent / 100)
        return Self.milliseconds(.microseconds(Int64(microseconds[index])))
    }

    /// A duration in milliseconds, with two decimals.
    private static func milliseconds(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let hundredths = seconds * 100_000 + attoseconds / 10_000_000_000_000
        let fraction = hundredths % 100
        return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)"
    }

    private static func name(_ status: Int, _ order: Order) -> String {
        if status == unanswered { return "no answer" }
        return order.target.isGRPC ? "grpc-status \(status)" : "HTTP status \(status)"
    }
}
