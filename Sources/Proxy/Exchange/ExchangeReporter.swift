internal import HTTP
internal import Octets
internal import Reactor
internal import Telemetry
internal import TLS
internal import Balancing
internal import Routing

/// What stays of an exchange when it is over: counts, and a line in the access log. Its worker's thread only.
struct ExchangeReporter {
    private let services: WorkerServices
    private let addresses = OctetBuffer(capacity: 256)    // of `x-forwarded-for`, while a line is written
    private let reason = OctetBuffer(capacity: 256)    // of an upstream's failure, while a line is written
    private static let keptOctets = 1024    // of each of them, between two lines

    init(services: WorkerServices) { self.services = services }

    /// Counts the exchange, and writes its line of the access log.
    func report(_ exchange: Exchange) {
        let nanoseconds = services.loop.now.nanoseconds(since: exchange.started)
        services.unretainedMetrics {
            $0.requestEnded(
                route: exchange.route.unretained?({ $0.metrics }) ?? Metrics.noRoute, status: exchange.tally.status,
                grpcStatus: exchange.tally.grpcStatus ?? -1, durationNanoseconds: nanoseconds)
        }
        if let situation = exchange.state.situation { note(situation, of: exchange) }
        guard services.isLogging else { return }
        exchange.identifier.withText { write(exchange, nanoseconds, requestID: $0) }
    }

    /// An endpoint's failure that the client has noticed goes into its cluster's tally. That it takes no WebSockets is
    /// none: everybody may ask.
    @inline(never)
    private func note(_ situation: Situation, of exchange: Exchange) {
        guard situation == .noHealthyEndpoint || situation.outcome.blame == .upstream,
            situation != .upgradeUnsupported
        else { return }
        EndpointReports.fate(exchange.tally.upstreamNanoseconds == nil ? .lost : .ended, of: exchange)
    }

    private func write(_ exchange: Exchange, _ nanoseconds: UInt64, requestID: Octets) {
        var entry = AccessLogEntry(start: exchange.startedWall)
        addresses.clear(keeping: Self.keptOctets)
        if let request = exchange.request.unretained?({ $0 }) {
            entry.method = request.first(.method) ?? .empty
            entry.path = request.first(.path) ?? .empty
            entry.userAgent = request.first(.userAgent)
            entry.authority = request.first(.authority) ?? request.first(.host)
            ForwardedFields.appendAddresses(of: request, to: addresses)
        }
        if let downstream = exchange.downstream {
            entry.protocol = downstream.session.isHTTP2 ? .http2 : downstream.session.isHTTP10 ? .http10 : .http11
            addresses.append(downstream.connection { $0.peerHost.octets })
            entry.downstreamRemote = ClientTrust.text(of: exchange)
            entry.downstreamLocal = downstream.connection { $0.localText }
            entry.proxyFacts = downstream.connection { $0.announcement?.facts }
            entry.serverName = downstream.connection { $0.transport.tls?.serverName }
        }
        entry.forwardedFor = addresses.octets
        entry.requestID = requestID
        entry.status = exchange.tally.status
        entry.grpcStatus = exchange.tally.grpcStatus ?? -1
        entry.bytesReceived = UInt64(exchange.state.receivedOctets)
        entry.bytesSent = UInt64(exchange.tally.sentOctets)
        entry.durationNanoseconds = nanoseconds
        entry.upstreamServiceNanoseconds = exchange.tally.upstreamNanoseconds.map { Int64(clamping: $0) } ?? -1
        entry.tries = exchange.state.tries
        entry.upstreamHost = exchange.upstreamReached ?? exchange.endpoint.unretained?({ $0.name })
        entry.cluster = exchange.destination.unretained?({ $0.cluster.name })
        entry.routeName = exchange.route.unretained?({ $0.route.name })
        entry.upstreamLocal = exchange.upstreamLocal
        explain(&entry, exchange)
        services.log.log(entry)
    }

    private func explain(_ entry: inout AccessLogEntry, _ exchange: Exchange) {
        entry.earlierFlags = exchange.injected
        if exchange.state.areTriesExhausted { entry.earlierFlags.insert(.retriesExhausted) }
        guard let situation = exchange.state.situation else {
            guard exchange.state.answer != .none else { return }
            entry.details = "via_upstream"
            return
        }
        if !exchange.failure.isEmpty {
            reason.clear(keeping: Self.keptOctets)
            reason.append(text: exchange.failure)
            entry.upstreamFailure = reason.octets
        }
        let outcome = situation.outcome
        outcome.blame(in: &entry)
        if exchange.state.situation == .requestMalformed(.headerMemory) {
            (entry.blame, entry.level) = (services.blameForHeaderMemory.name, services.blameForHeaderMemory.level)
        }
        entry.explanation = outcome.words(exchange.explanation)
        entry.flags = outcome.flag.text
        entry.details = exchange.tally.upstreamNanoseconds != nil ? outcome.detailsAfterHeaders : outcome.details
    }
}
