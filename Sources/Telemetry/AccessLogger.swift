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

    /// Whether `log` writes anything. If not, no record need be made.
    package var isOn: Bool { format != .off }

    /// Formats the line for one request.
    package func log(_ record: borrowing AccessRecord) {
        switch format {
        case .off: return
        case .text: appendText(record)
        case .json: appendJSON(record)
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
    private func appendText(_ record: borrowing AccessRecord) {
        buffer.append("[")
        clock.append(record.start, to: buffer)
        buffer.append("] \"")
        // Method and path are written without spaces, which would look like further words of the line.
        escaped(orDash(record.method), .bare)
        buffer.append(" ")
        escaped(orDash(record.path), .bare)
        buffer.append(" ")
        buffer.append(orDash(Octets(record.protocol.name)))
        buffer.append("\" ")
        buffer.append(decimal: record.status)
        buffer.append(" ")
        appendFlags(record)
        bare(record.details)
        bare(Octets(record.connectionTermination))
        buffer.append(" \"")
        escaped(orDash(record.upstreamFailure), .bare)
        buffer.append("\" ")
        buffer.append(decimal: Int(clamping: record.bytesReceived))
        buffer.append(" ")
        buffer.append(decimal: Int(clamping: record.bytesSent))
        buffer.append(" ")
        buffer.append(decimal: Int(clamping: record.durationNanoseconds / 1_000_000))
        appendTextTail(record)
        buffer.append("\n")
    }

    /// Envoy writes absent flags as `-`, in JSON too, unlike all other absent members.
    private func appendFlags(_ record: borrowing AccessRecord) {
        let flags = Octets(record.flags)
        guard !record.earlierFlags.isEmpty else { return buffer.append(orDash(flags)) }
        var isFirst = true
        for (flag, text) in EarlierFlags.all where record.earlierFlags.contains(flag) {
            if !isFirst { buffer.append(",") }
            isFirst = false
            buffer.append(text)
        }
        guard !flags.isEmpty else { return }
        buffer.append(",")
        buffer.append(flags)
    }

    private func appendTextTail(_ record: borrowing AccessRecord) {
        buffer.append(" ")
        if record.upstreamServiceNanoseconds < 0 {
            buffer.append("-")
        } else {
            buffer.append(decimal: Int(record.upstreamServiceNanoseconds / 1_000_000))
        }
        betweenQuotes(record.forwardedFor)
        betweenQuotes(record.userAgent)
        betweenQuotes(record.requestID)
        betweenQuotes(record.authority)
        buffer.append(" \"")
        text(record.upstreamHost, .quoted)
        buffer.append("\"")
        bare(record.cluster)
        bare(record.upstreamLocal)
        bare(record.downstreamLocal)
        bare(record.downstreamRemote)
        bare(record.serverName)
        bare(record.routeName)
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
    private func appendJSON(_ record: borrowing AccessRecord) {
        buffer.append("{\"authority\":")
        string(record.authority)
        number("bytes_received", Int(clamping: record.bytesReceived))
        number("bytes_sent", Int(clamping: record.bytesSent))
        member("connection_termination_details", Octets(record.connectionTermination))
        if let facts = record.proxyFacts { member("downstream_direct_remote_address", facts.peer) }
        member("downstream_local_address", record.downstreamLocal)
        member("downstream_remote_address", record.downstreamRemote)
        number("duration", Int(clamping: record.durationNanoseconds / 1_000_000))
        if record.faultOf.utf8CodeUnitCount > 0 { member("fault_of", Octets(record.faultOf)) }
        if record.level.utf8CodeUnitCount > 0 { member("level", Octets(record.level)) }
        member("method", record.method)
        member("path", record.path)
        member("protocol", Octets(record.protocol.name))
        if let facts = record.proxyFacts { appendProxyFacts(facts) }
        member("request_id", record.requestID)
        member("requested_server_name", record.serverName)
        number("response_code", record.status)
        appendJSONTail(record)
        buffer.append("}\n")
    }

    private func appendProxyFacts(_ facts: ProxyFacts) {
        let values: [(StaticString, String?)] = [
            ("proxy_alpn", facts.alpn), ("proxy_authority", facts.authority), ("proxy_tls_cn", facts.tlsCommonName),
            ("proxy_tls_version", facts.tlsVersion), ("proxy_unique_id", facts.uniqueID),
        ]
        for (name, value) in values where value != nil { member(name, value) }
    }

    private func appendJSONTail(_ record: borrowing AccessRecord) {
        member("response_code_details", record.details)
        key("response_flags")
        buffer.append("\"")
        appendFlags(record)
        buffer.append("\"")
        member("route_name", record.routeName)
        key("start_time")
        buffer.append("\"")
        clock.append(record.start, to: buffer)
        buffer.append("\"")
        member("upstream_cluster", record.cluster)
        member("upstream_host", record.upstreamHost)
        member("upstream_local_address", record.upstreamLocal)
        number("upstream_request_attempt_count", record.tries)
        key("upstream_service_time")
        if record.upstreamServiceNanoseconds < 0 {
            buffer.append("null")
        } else {
            buffer.append("\"")
            buffer.append(decimal: Int(record.upstreamServiceNanoseconds / 1_000_000))
            buffer.append("\"")
        }
        member("upstream_transport_failure_reason", record.upstreamFailure)
        member("user_agent", record.userAgent)
        if let endpoint = record.proxyFacts?.vpcEndpoint { member("vpc_endpoint_id", endpoint) }
        member("x_forwarded_for", record.forwardedFor)
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
