internal import HTTP
internal import Octets
internal import Reactor
internal import Routing

/// What the gateway changes in header sections on their way.
extension Worker {
    /// Forwarding headers are added, what only the gateway may say is removed.
    func prepareForUpstream(_ block: HeaderBlock, of exchange: Exchange) {
        guard let downstream = exchange.toDownstream else { return }
        let isGRPC = exchange.isGRPC
        let left =
            isGRPC
            ? exchange.deadline.map { Duration.nanoseconds(Int64(clamping: $0.nanoseconds(since: now))) } : nil
        random.withUUID { identifier in
            downstream { connection in
                let fields = ForwardedFields(
                    peer: connection.peerHost.octets, scheme: connection.schemeText, requestID: identifier,
                    isGRPC: isGRPC, timeLeft: left)
                fields.write(to: block, pools: pools)
            }
        }
    }

    /// Says who answers, and when.
    func prepareForDownstream(_ block: HeaderBlock) {
        if block.first(.server) == nil {
            block.append("server", "portico" as StaticString)
        } else {
            var isSaid = false
            block.edit { field in
                guard field.known == .server else { return .keep }
                defer { isSaid = true }
                return isSaid ? .remove : .replace("portico")
            }
        }
        if block.first(.date) == nil { block.append("date", date.octets(at: wallNow)) }
    }
}
