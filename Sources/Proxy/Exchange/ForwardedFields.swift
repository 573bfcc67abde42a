internal import HTTP
internal import Octets

/// What an edge says about a request and its client. Each of these fields leaves the gateway exactly once, and
/// nobody but the gateway says it; what ends here does not leave at all.
/// Source: RFC 9110 §7.6.1 (hop by hop); docs/behaviour.md, Forwarding headers.
struct ForwardedFields {
    /// The client's address, behind the addresses that the request brought.
    let peer: Octets
    let scheme: Octets    // a text that lives as long as the process
    /// The value of `x-request-id`; it lives as long as the request.
    let requestID: Octets
    let isGRPC: Bool
    /// What is left until the deadline of a gRPC call that has one. It takes the place of `grpc-timeout`.
    let timeLeft: Duration?
    /// The client's certificate, as `x-forwarded-client-cert` tells of it; nil if it showed none.
    var certificate: Octets?
    /// The client's address, as proxies in front that are trusted say it; nil: the peer's.
    var client: Octets?
    /// What is believed of what the request says.
    var trust = ClientTrust.none

    /// Edits a request's header section. All octets are copied into the block.
    func write(to block: HeaderBlock, pools: MessagePools) {
        let addresses = block.first(.forwardedFor) == nil ? nil : pools.takeBuffer()
        defer { if let addresses { pools.give(addresses) } }
        if let addresses { Self.appendAddresses(of: block, to: addresses) }
        let kept =
            trust.forwardsCertificates(isVerified: certificate != nil)
            ? Self.joined(.forwardedClientCert, of: block, pools) : nil
        defer { if let kept { pools.give(kept) } }
        block.remove(Self.onlyOurs)
        if timeLeft != nil { block.remove(KnownHeaders(.grpcTimeout)) }
        if isGRPC { block.remove(KnownHeaders(.expect)) }
        addresses?.append(peer)
        block.append(.forwardedFor, addresses?.octets ?? peer)
        block.append(.forwardedProto, stable: scheme)
        block.append(.requestID, requestID)
        block.append(reserved: "x-envoy-external-address", block.copy(client ?? peer))
        if let kept {
            if let certificate, trust.tellsCertificate { Self.add(certificate, to: kept) }
            if !kept.isEmpty { block.append(.forwardedClientCert, kept.octets) }
        } else if let certificate, trust.tellsCertificate {
            block.append(.forwardedClientCert, certificate)
        }
        if let timeLeft { GRPCTimeout(remaining: timeLeft).append(to: block) }
    }

    /// What only the gateway says, and what never crosses it.
    @inline(__always)
    private static var onlyOurs: KnownHeaders {
        .hopByHop | .forwardedFor | .forwardedProto | .forwardedClientCert | .requestID | .reserved | .host
    }

    /// The values of all fields of a kind, in order, as one list.
    private static func joined(_ kind: KnownHeader, of block: HeaderBlock, _ pools: MessagePools) -> OctetBuffer {
        let values = pools.takeBuffer()
        for field in block.fields where field.known == kind && !field.value.isEmpty { add(field.value, to: values) }
        return values
    }

    private static func add(_ value: Octets, to list: OctetBuffer) {
        if !list.isEmpty { list.append(UInt8(ascii: ",")) }
        list.append(value)
    }

    /// The addresses that a request brings, in order, with a comma behind each field's.
    static func appendAddresses(of block: HeaderBlock, to addresses: OctetBuffer) {
        guard block.first(.forwardedFor) != nil else { return }
        for field in block.fields where field.known == .forwardedFor && !field.value.isEmpty {
            addresses.append(field.value)
            addresses.append(UInt8(ascii: ","))
        }
    }

    /// Takes out of a request's trailers what a server could take for a field of its header section that only the
    /// gateway says, or that says where a message ends. Source: RFC 9110 §6.5.1.
    static func clean(trailers block: HeaderBlock) {
        block.remove(
            .hopByHop | .forwardedFor | .forwardedProto | .forwardedClientCert | .requestID | .reserved | .host
                | .contentLength | .te | .trailer | .expect | .grpcTimeout)
    }
}
