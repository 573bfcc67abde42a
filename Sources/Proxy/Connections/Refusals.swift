internal import HTTP
internal import Octets
internal import Reactor
internal import Telemetry
internal import TLS
internal import Balancing

/// No refusal without a line: whatever a worker turns down is counted by its reason and leaves a line, in the access
/// log or, where that is off or the peer is an upstream, on standard error. Lines are few (`RefusalSampler`). A request
/// that was refused has an exchange, and its line, unless it was refused while it was read: `noteRequest`.
///
/// Thread: its worker's. Freed by: `Worker`.
final class Refusals {
    private let services: WorkerServices
    private var sampler = RefusalSampler()
    private var isSummaryDue = false
    private var nextStreamHint = 0    // wall seconds; see `reachedStreamLimit`

    init(services: WorkerServices) { self.services = services }

    /// - Parameters:
    ///   - connection: whose it is; nil when there is none yet.
    ///   - status: of the answer, when one was given.
    ///   - words: what OpenSSL or the system says of it, or the frame that was wrong; made where a line has it.
    func note(
        _ refusal: Refusal, on connection: Connection?, status: Int = 0, because words: @autoclosure () -> String = ""
    ) {
        let side = connection?.role == .upstream ? ConnectionSide.upstream : .downstream
        services.metrics.refused(refusal, side)
        if let connection { FrontEnd.refused(refusal, connection, services) }
        guard sampler.admits(refusal, at: services.loop.wallNow.seconds) else { return summarizeSoon() }
        let reason = words()
        guard services.log.isOn, side == .downstream else { return say(refusal, connection, reason) }
        var entry = AccessLogEntry(start: services.loop.wallNow)
        entry.protocol = connection.map { Self.protocolName(of: $0) } ?? .unknown
        entry.status = status
        let blame = blame(for: refusal)
        (entry.blame, entry.level) = (blame.name, blame.level)
        entry.flags = refusal.flag.text
        entry.details = refusal.details(Self.detail(of: refusal, reason))
        entry.explanation = refusal.sentence + (reason.isEmpty ? "" : ": \(reason)")
        entry.downstreamRemote = connection?.peerText
        entry.downstreamLocal = connection?.localText
        entry.serverName = connection?.serverName
        entry.proxyFacts = connection?.announcement?.facts
        services.log.log(entry)
    }

    /// With a frame that was wrong stands the rule's source, which the line has nowhere else.
    private static func detail(of refusal: Refusal, _ reason: String) -> String {
        guard case .http2(let violation) = refusal, !reason.isEmpty else { return reason }
        return "\(reason), \(violation.source)"
    }

    /// Clients owe what a connection lacks, but not our descriptors, places, listeners and memory.
    private func blame(for refusal: Refusal) -> Blame {
        switch refusal {
        case .connection(.acceptFailed), .connection(.listenerClosed), .connection(.evicted), .handshake(.tooMany),
            .http1(.headerMemory), .http2(.headerHoard):
            .gateway
        case .http2(.headerMemory): services.blameForHeaderMemory
        default: .client
        }
    }

    private static func protocolName(of connection: Connection) -> RequestProtocol {
        switch connection.session {
        case .undecided: .unknown
        case .http1: .http11
        case .http2: .http2
        }
    }

    private func say(_ refusal: Refusal, _ connection: Connection?, _ reason: String) {
        var text = "refused: \(refusal.sentence)"
        if !reason.isEmpty { text += ": \(reason)" }
        if let connection, connection.role == .upstream {
            text += "; endpoint \(connection.pool?.endpoint.name ?? "unknown")"
        } else if let connection {
            text += "; client \(connection.peerText ?? "unknown") on \(connection.localText ?? "unknown")"
            if let name = connection.serverName { text += ", server name \(name)" }
        }
        services.messages.warn(text, at: services.loop.wallNow)
    }

    /// A request that could not even be read gets a line of its own.
    func noteRequest(_ situation: Situation, on connection: Connection) {
        guard services.log.isOn else { return }
        let outcome = situation.outcome
        var entry = AccessLogEntry(start: services.loop.wallNow)
        entry.status = outcome.status
        outcome.blame(in: &entry)
        entry.flags = outcome.flag.text
        entry.details = outcome.details
        entry.explanation = outcome.words("")
        entry.downstreamRemote = connection.peerText
        entry.downstreamLocal = connection.localText
        entry.serverName = connection.transport.tls?.serverName
        entry.proxyFacts = connection.announcement?.facts
        services.log.log(entry)
    }

    /// A client that keeps to the limit says nothing of the calls that wait on its side: somebody should hear of
    /// it, but not more often than once a minute.
    func reachedStreamLimit(_ connection: Connection) {
        services.metrics.reached(.concurrentStreams)
        guard services.loop.wallNow.seconds >= nextStreamHint else { return }
        nextStreamHint = services.loop.wallNow.seconds + 60
        services.messages.warn(
            "client \(connection.peerText ?? "unknown") has \(connection.session.openStreams) streams open on one "
                + "connection, as many as it may: its next calls wait in the client; raise --max-concurrent-streams, "
                + "or portico.dev/max-concurrent-streams of the Gateway, or have it open more connections",
            at: services.loop.wallNow)
    }

    private func summarizeSoon() {
        guard !isSummaryDue else { return }
        isSummaryDue = true
        _ = services.loop.arm(at: services.loop.now + .seconds(1), .summary)
    }

    /// A second has passed: says what got no line.
    func summarize() {
        isSummaryDue = false
        guard sampler.isSuppressing else { return }
        services.messages.warn(sampler.summary(), at: services.loop.wallNow)
    }
}
