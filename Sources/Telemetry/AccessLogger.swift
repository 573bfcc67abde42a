internal import Octets
internal import Reactor

/// The form of the access log: none, Istio's text format, or JSON.
package enum AccessLogFormat: String, Sendable, CaseIterable {
    case off, text, json
}

/// The access log of one worker. It formats each request into a buffer, which it hands to the writer once per turn.
///
/// Thread: its worker's. Freed by: `WorkerServices`.
package final class AccessLogger {
    private let format: AccessLogFormat
    private let writer: LogWriter
    private let buffer = OctetBuffer(capacity: 4096)
    private var lines = 0
    private var clock = AccessLogClock()
    private var cuts: UInt64 = 0    // in this turn

    /// Octets of lines after which a turn hands them over before its end.
    private static let turnOctets = 64 << 10

    /// Makes the log of one worker; `writer` is shared by all of them.
    package init(format: AccessLogFormat, writer: LogWriter) {
        self.format = format
        self.writer = writer
    }

    /// Whether `log` writes anything. If not, no entry need be made.
    package var isOn: Bool { format != .off }

    /// Formats the line for one request.
    package func log(_ entry: borrowing AccessLogEntry) {
        switch format {
        case .off: return
        case .text: appendText(entry)
        case .json: appendJSON(entry)
        }
        lines += 1
        if buffer.count >= Self.turnOctets { handOver() }
    }

    private func escaped(_ octets: Octets, _ escaping: AccessLogEscaping) {
        if escaping.append(octets, to: buffer) { cuts += 1 }
    }

    /// Hands the lines of this turn to the writer. The worker calls it at the end of each turn.
    /// - Returns: how many values of them were cut.
    @discardableResult package func endTurn() -> UInt64 {
        guard lines > 0 || cuts > 0 else { return 0 }
        handOver()
        defer { cuts = 0 }
        return cuts
    }

    private func handOver() {
        guard lines > 0 else { return }
        writer.submit(buffer.octets, lines: lines)
        buffer.clear(keeping: 2 * Self.turnOctets)
        lines = 0
    }
}

@available(*, unavailable) extension AccessLogger: Sendable {}

// Istio's default text format. Source: istio/istio pilot/pkg/model/telemetry_logging.go.
extension AccessLogger {
    private func appendText(_ entry: borrowing AccessLogEntry) {
        buffer.append("[")
        clock.append(entry.start, to: buffer)
        buffer.append("] \"")
        // Method and path are written without spaces, which would look like further words of the line.
        escaped(orDash(entry.method), .bare)
        buffer.append(" ")
        escaped(orDash(entry.path), .bare)
        buffer.append(" ")
        buffer.append(orDash(Octets(entry.protocol.name)))
        buffer.append("\" ")
        buffer.append(decimal: entry.status)
        buffer.append(" ")
        appendFlags(entry)
        bare(entry.details)
        bare(Octets(entry.connectionTermination))
        buffer.append(" \"")
        escaped(orDash(entry.upstreamFailure), .bare)
        buffer.append("\" ")
        buffer.append(decimal: Int(clamping: entry.bytesReceived))
        buffer.append(" ")
        buffer.append(decimal: Int(clamping: entry.bytesSent))
        buffer.append(" ")
        buffer.append(decimal: Int(clamping: entry.durationNanoseconds / 1_000_000))
        appendTextTail(entry)
        buffer.append("\n")
    }

    /// Envoy writes absent flags as `-`, in JSON too, unlike all other absent members.
    private func appendFlags(_ entry: borrowing AccessLogEntry) {
        let flags = Octets(entry.flags)
        guard !entry.earlierFlags.isEmpty else { return buffer.append(orDash(flags)) }
        var isFirst = true
        for (flag, text) in EarlierFlags.all where entry.earlierFlags.contains(flag) {
            if !isFirst { buffer.append(",") }
            isFirst = false
            buffer.append(text)
        }
        guard !flags.isEmpty else { return }
        buffer.append(",")
        buffer.append(flags)
    }

    private func appendTextTail(_ entry: borrowing AccessLogEntry) {
        buffer.append(" ")
        if entry.upstreamServiceNanoseconds < 0 {
            buffer.append("-")
        } else {
            buffer.append(decimal: Int(entry.upstreamServiceNanoseconds / 1_000_000))
        }
        betweenQuotes(entry.forwardedFor)
        betweenQuotes(entry.userAgent)
        betweenQuotes(entry.requestID)
        betweenQuotes(entry.authority)
        buffer.append(" \"")
        text(entry.upstreamHost, .quoted)
        buffer.append("\"")
        bare(entry.cluster)
        bare(entry.upstreamLocal)
        bare(entry.downstreamLocal)
        bare(entry.downstreamRemote)
        bare(entry.serverName)
        bare(entry.routeName)
    }

    private func orDash(_ octets: Octets) -> Octets { octets.isEmpty ? "-" : octets }

    private func quoted(_ octets: Octets) { escaped(orDash(octets), .quoted) }

    private func betweenQuotes(_ octets: Octets?) {
        buffer.append(" \"")
        quoted(octets ?? .empty)
        buffer.append("\"")
    }

    private func bare(_ octets: Octets) {
        buffer.append(" ")
        escaped(orDash(octets), .bare)
    }

    private func bare(_ value: String?) {
        buffer.append(" ")
        text(value, .bare)
    }

    private func text(_ value: String?, _ escaping: AccessLogEscaping) {
        guard let value, !value.isEmpty else { return buffer.append("-") }
        value.withOctets { escaped($0, escaping) }
    }
}

// One JSON object per line, with sorted keys.
extension AccessLogger {
    private func appendJSON(_ entry: borrowing AccessLogEntry) {
        buffer.append("{\"authority\":")
        string(entry.authority)
        if entry.blame.utf8CodeUnitCount > 0 { member("blame", Octets(entry.blame)) }
        number("bytes_received", Int(clamping: entry.bytesReceived))
        number("bytes_sent", Int(clamping: entry.bytesSent))
        member("connection_termination_details", Octets(entry.connectionTermination))
        if let facts = entry.proxyFacts { member("downstream_direct_remote_address", facts.peer) }
        member("downstream_local_address", entry.downstreamLocal)
        member("downstream_remote_address", entry.downstreamRemote)
        number("duration", Int(clamping: entry.durationNanoseconds / 1_000_000))
        if !entry.explanation.isEmpty { member("explanation", entry.explanation) }
        if entry.level.utf8CodeUnitCount > 0 { member("level", Octets(entry.level)) }
        member("method", entry.method)
        member("path", entry.path)
        member("protocol", Octets(entry.protocol.name))
        if let facts = entry.proxyFacts { appendProxyFacts(facts) }
        member("request_id", entry.requestID)
        member("requested_server_name", entry.serverName)
        number("response_code", entry.status)
        appendJSONTail(entry)
        buffer.append("}\n")
    }

    private func appendProxyFacts(_ facts: ProxyFacts) {
        let values: [(StaticString, String?)] = [
            ("proxy_alpn", facts.alpn), ("proxy_authority", facts.authority), ("proxy_tls_cn", facts.tlsCommonName),
            ("proxy_tls_version", facts.tlsVersion), ("proxy_unique_id", facts.uniqueID),
        ]
        for (name, value) in values where value != nil { member(name, value) }
    }

    private func appendJSONTail(_ entry: borrowing AccessLogEntry) {
        member("response_code_details", entry.details)
        key("response_flags")
        buffer.append("\"")
        appendFlags(entry)
        buffer.append("\"")
        member("route_name", entry.routeName)
        key("start_time")
        buffer.append("\"")
        clock.append(entry.start, to: buffer)
        buffer.append("\"")
        member("upstream_cluster", entry.cluster)
        member("upstream_host", entry.upstreamHost)
        member("upstream_local_address", entry.upstreamLocal)
        number("upstream_request_attempt_count", entry.tries)
        key("upstream_service_time")
        if entry.upstreamServiceNanoseconds < 0 {
            buffer.append("null")
        } else {
            buffer.append("\"")
            buffer.append(decimal: Int(entry.upstreamServiceNanoseconds / 1_000_000))
            buffer.append("\"")
        }
        member("upstream_transport_failure_reason", entry.upstreamFailure)
        member("user_agent", entry.userAgent)
        if let endpoint = entry.proxyFacts?.vpcEndpoint { member("vpc_endpoint_id", endpoint) }
        member("x_forwarded_for", entry.forwardedFor)
    }

    private func key(_ name: StaticString) {
        buffer.append(",\"")
        buffer.append(name)
        buffer.append("\":")
    }

    private func number(_ name: StaticString, _ value: Int) {
        key(name)
        buffer.append(decimal: value)
    }

    private func member(_ name: StaticString, _ value: Octets?) {
        key(name)
        string(value)
    }

    private func member(_ name: StaticString, _ value: String?) {
        key(name)
        guard let value else { return buffer.append("null") }
        value.withOctets { string($0) }
    }

    private func string(_ value: Octets?) {
        guard let value, !value.isEmpty else { return buffer.append("null") }
        buffer.append("\"")
        escaped(value, .json)
        buffer.append("\"")
    }
}
