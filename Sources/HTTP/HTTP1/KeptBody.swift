internal import Octets

/// The body of a request on a connection of HTTP/1.1, as it was sent, for another try. Streams have numbers, one after
/// the other; the body of one that has just ended stays until the end of the turn, because its owner may not know yet.
struct KeptBody {
    private var octets: OctetBuffer?    // of the stream that is open; from the pools
    private var ended: (number: Int, octets: OctetBuffer)?

    /// The newest stream's body is kept from now on.
    mutating func begin(_ pools: MessagePools) { octets = pools.takeBuffer() }

    /// Keeps what is sent, unless that becomes too long: then nothing of it is kept.
    mutating func append(_ more: Octets, _ pools: MessagePools) {
        guard let octets else { return }
        guard octets.count + more.count > HTTP2Session.replayLimit else { return octets.append(more) }
        stop(pools)
    }

    /// No other try will want it.
    mutating func stop(_ pools: MessagePools) {
        guard let octets else { return }
        self.octets = nil
        pools.give(octets)
    }

    /// The newest stream is over.
    mutating func streamEnded(_ number: Int, _ pools: MessagePools) {
        guard let octets else { return }
        turnEnded(pools)
        ended = (number, octets)
        self.octets = nil
    }

    /// Nobody asks for what has ended any more.
    mutating func turnEnded(_ pools: MessagePools) {
        guard let ended else { return }
        self.ended = nil
        pools.give(ended.octets)
    }

    /// Whether there is one of the stream.
    /// - Parameter newest: the number of the newest stream.
    func has(of stream: Int, newest: Int) -> Bool { ended?.number == stream || (stream == newest && octets != nil) }

    /// Takes it away, as the caller's; nil if there is none of the stream.
    mutating func take(of stream: Int, newest: Int) -> OctetBuffer? {
        if let ended, ended.number == stream {
            self.ended = nil
            return ended.octets
        }
        guard stream == newest else { return nil }
        defer { octets = nil }
        return octets
    }
}
