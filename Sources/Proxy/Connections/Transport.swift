internal import Octets
internal import Reactor
internal import TLS

/// What carries a connection's octets: the socket, and TLS on it or not. Its worker's thread only.
struct Transport {
    let descriptor: CInt    // owned by the connection; closed at the end of the turn
    /// Set before the handshake begins.
    var tls: TLSSession?

    var isSecure: Bool { tls != nil }

    /// Octets of memory that the connection and its session of OpenSSL's have, about.
    var keptOctets: Int { isSecure ? 46_080 : 4096 }

    /// Reads what waits, and appends it to `buffer`.
    /// - Parameters:
    ///   - most: octets that are read.
    ///   - hasHungUp: the peer has ended its side. Its end may wait behind a part of a TLS record, and is no event of
    ///     its own any more.
    func read(into buffer: OctetBuffer, most: Int, hasHungUp: Bool) -> IOResult {
        guard let tls = tls.unretained else { return Socket.read(descriptor, into: buffer, most: most) }
        for _ in 0..<Self.mostReadsToTheEnd {
            switch tls({ $0.read(into: buffer, most: most) }) {
            case .octets(let count): return .octets(count)
            case .wantsRead where hasHungUp: continue
            case .wantsWrite where hasHungUp: return .closed
            case .wantsRead, .wantsWrite: return .wouldBlock
            case .failed(.connectionLost(let errno)): return .failed(errno)
            case .closed, .failed: return .closed
            }
        }
        return .closed
    }

    /// How many TLS records the last read has opened.
    var recordsRead: Int {
        guard let tls = tls.unretained else { return 0 }
        return tls { $0.recordsRead }
    }

    /// Throws away what waits. TLS is not asked: our side has ended, and the peer's end is that of the socket.
    func discard(scratch: OctetBuffer, most: Int) -> IOResult {
        Socket.discard(descriptor, scratch: scratch, most: most)
    }

    /// More than a kernel keeps for a connection.
    static let mostReadsToTheEnd = 1000

    /// Whether the last read has emptied the socket, so that the next readiness is a new event.
    func isDrained(afterReading count: Int, of room: Int) -> Bool { tls?.isDrained ?? (count < room) }

    /// Writes as much as the kernel takes.
    func write(_ octets: Octets) -> IOResult {
        guard let tls = tls.unretained else { return Socket.write(descriptor, octets) }
        switch tls({ $0.write(octets) }) {
        case .octets(let count): return .octets(count)
        case .wantsRead, .wantsWrite: return .wouldBlock
        case .closed, .failed: return .closed
        }
    }

    /// Goes on with the TLS handshake.
    /// - Parameter hasHungUp: see `read`; the handshake then goes on until it has seen the end.
    func handshake(hasHungUp: Bool) -> TLSProgress {
        guard let tls else { return .closed }
        var progress = tls.handshake()
        guard hasHungUp else { return progress }
        for _ in 0..<Self.mostReadsToTheEnd where progress == .wantsRead { progress = tls.handshake() }
        // Or the peer closed before it took what we have to say, and never will.
        return progress == .wantsRead || progress == .wantsWrite ? .closed : progress
    }

    /// Ends our side; the peer's octets can still be read.
    func finish() {
        tls?.shutdown()
        Socket.finish(descriptor)
    }
}
