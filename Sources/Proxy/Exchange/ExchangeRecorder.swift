internal import HTTP
internal import Octets
internal import Reactor
internal import Telemetry
internal import TLS
internal import Balancing
internal import Routing

/// What stays of an exchange when it is over: counts, and a line in the access log. Its worker's thread only.
struct ExchangeRecorder {
    private let services: WorkerServices
    private let addresses = OctetBuffer(capacity: 256)    // of `x-forwarded-for`, while a line is written
    private let reason = OctetBuffer(capacity: 256)    // of an upstream's failure, while a line is written

    init(services: WorkerServices) { self.services = services }

    /// Counts the exchange, and writes its line of the access log.
    func record(_ exchange: Exchange) {
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

    /// An endpoint's failure that the client has noticed goes into its cluster's tally.
    @inline(never)
    private func note(_ situation: Situation, of exchange: Exchange) {
        guard situation == .noHealthyEndpoint || situation.outcome.blame == .upstream else { return }
        EndpointReports.fate(exchange.tally.upstreamNanoseconds == nil ? .lost : .ended, of: exchange)
    }

    private func write(_ exchange: Exchange, _ nanoseconds: UInt64, requestID: Octets) {
        var record = AccessRecord(start: exchange.startedWall)
        addresses.clear(keeping: 1024)
        if let request = exchange.request.unretained?({ $0 }) {
            record.method = request.first(.method) ?? .empty
            record.path = request.first(.path) ?? .empty
            record.userAgent = request.first(.userAgent)
            record.authority = request.first(.authority) ?? request.first(.host)
            ForwardedFields.appendAddresses(of: request, to: addresses)
        }
        if let downstream = exchange.downstream {
            record.protocol = downstream.session.isHTTP2 ? .http2 : downstream.session.isHTTP10 ? .http10 : .http11
            addresses.append(downstream.connection { $0.peerHost.octets })
            record.downstreamRemote = ClientTrust.text(of: exchange)
            record.downstreamLocal = downstream.connection { $0.localText }
            record.proxyFacts = downstream.connection { $0.announcement?.facts }
            record.serverName = downstream.connection { $0.transport.tls?.serverName }
        }
        record.forwardedFor = addresses.octets
        record.requestID = requestID
        record.status = exchange.tally.status
        record.grpcStatus = exchange.tally.grpcStatus ?? -1
        record.bytesReceived = UInt64(exchange.state.receivedOctets)
        record.bytesSent = UInt64(exchange.tally.sentOctets)
        record.durationNanoseconds = nanoseconds
        record.upstreamServiceNanoseconds = exchange.tally.upstreamNanoseconds.map { Int64(clamping: $0) } ?? -1
        record.tries = exchange.state.tries
        record.upstreamHost = exchange.endpoint.unretained?({ $0.name })
        record.cluster = exchange.destination.unretained?({ $0.cluster.name })
        record.routeName = exchange.route.unretained?({ $0.route.name })
        record.upstreamLocal = exchange.upstreamLocal
        explain(&record, exchange)
        services.log.log(record)
    }

    private func explain(_ record: inout AccessRecord, _ exchange: Exchange) {
        record.earlierFlags = exchange.injected
        if exchange.state.areTriesExhausted { record.earlierFlags.insert(.retriesExhausted) }
        guard let situation = exchange.state.situation else {
            guard exchange.state.answer != .none else { return }
            record.details = "via_upstream"
            return
        }
        if !exchange.failure.isEmpty {
            reason.clear(keeping: 1024)
            reason.append(text: exchange.failure)
            record.upstreamFailure = reason.octets
        }
        let outcome = situation.outcome
        outcome.blame(in: &record)
        record.flags = outcome.flag.text
        record.details = exchange.tally.upstreamNanoseconds != nil ? outcome.detailsAfterHeaders : outcome.details
    }
}
