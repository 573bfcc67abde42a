internal import HTTP
internal import Octets
internal import Reactor
internal import Routing

/// What the gateway changes in header sections on their way. Source: gateway-behaviour §2.1 and §2.2.
extension Worker {
    /// Forwarding headers are added, what only the gateway may say is removed.
    func prepareForUpstream(_ block: HeaderBlock, of exchange: Exchange) {
        guard let downstream = exchange.toDownstream else { return }
        var places = RequestPlaces(block, dropsExpect: exchange.isGRPC)
        if places.hasUnwanted {
            let dropsExpect = exchange.isGRPC
            block.removeAll { RequestPlaces.isUnwanted($0, dropsExpect: dropsExpect) }
            places = RequestPlaces(block, dropsExpect: dropsExpect)
        }
        downstream { setForwardedFor(block, places, $0) }
        let scheme: Octets = downstream { $0.tls == nil } ? "http" : "https"
        set(block, places.forwardedProto, "x-forwarded-proto", scheme)
        let identifier = random.withUUID { block.copy($0) }
        set(block, places.requestID, "x-request-id", identifier)
        guard exchange.isGRPC, let deadline = exchange.deadline else { return }
        let left = Duration.nanoseconds(Int64(clamping: deadline.nanoseconds(since: now)))
        if places.grpcTimeout >= 0 { block.removeAll { $0.known == .grpcTimeout } }
        GRPCTimeout(remaining: left).append(to: block)
    }

    /// Says who answers, and when.
    func prepareForDownstream(_ block: HeaderBlock) {
        var server = -1
        var hasDate = false
        for index in 0..<block.count {
            switch block.fields[index].known {
            case .server: server = index
            case .date: hasDate = true
            default: break
            }
        }
        set(block, server, "server", "portico")
        if !hasDate { block.append("date", date.octets(at: wallNow)) }
    }

    private func set(_ block: HeaderBlock, _ index: Int, _ name: Octets, _ value: Octets) {
        if index >= 0 { block.replace(at: index, with: value) } else { block.append(stable: name, value) }
    }

    /// The peer's address goes behind what the client sent; several lines become one.
    private func setForwardedFor(_ block: HeaderBlock, _ places: RequestPlaces, _ downstream: Connection) {
        let peer = downstream.peerHost.octets
        guard places.forwardedFor >= 0 else { return block.append("x-forwarded-for", peer) }
        let joined = pools.takeBuffer()
        for index in 0..<block.count where block.fields[index].known == .forwardedFor {
            joined.append(block.fields[index].value)
            joined.append(UInt8(ascii: ","))
        }
        joined.append(peer)
        let value = block.copy(joined.octets)
        pools.give(joined)
        if places.hasSeveralForwardedFor {
            block.removeAll { $0.known == .forwardedFor }
            block.append(stable: "x-forwarded-for", value)
        } else {
            block.replace(at: places.forwardedFor, with: value)
        }
    }
}

/// Where the fields stand that the gateway changes.
private struct RequestPlaces {
    var forwardedFor = -1
    var hasSeveralForwardedFor = false
    var forwardedProto = -1
    var requestID = -1
    var grpcTimeout = -1
    var hasUnwanted = false

    init(_ block: HeaderBlock, dropsExpect: Bool) {
        for index in 0..<block.count {
            let field = block.fields[index]
            switch field.known {
            case .other: continue
            case .forwardedFor:
                hasSeveralForwardedFor = forwardedFor >= 0
                forwardedFor = index
            case .forwardedProto: forwardedProto = index
            case .requestID: requestID = index
            case .grpcTimeout: grpcTimeout = index
            default: if Self.isUnwanted(field, dropsExpect: dropsExpect) { hasUnwanted = true }
            }
        }
    }

    /// Fields of a client's that must not reach the upstream.
    static func isUnwanted(_ field: HeaderField, dropsExpect: Bool) -> Bool {
        switch field.known {
        case .envoyHeader, .forwardedClientCert, .host, .protocol: true
        case .expect: dropsExpect
        default: field.known.isHopByHop
        }
    }
}
