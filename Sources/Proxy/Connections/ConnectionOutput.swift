internal import HTTP
internal import Octets
internal import Reactor

/// From what a session has to say to the socket. One buffer serves all connections of a worker; what the kernel does
/// not take is kept with the connection. Its worker's thread only.
struct ConnectionOutput {
    private let pools: MessagePools
    private let buffer = OctetBuffer(capacity: 2 * octetsPerWrite)

    /// Octets given to one socket at a time.
    static let octetsPerWrite = 131_072

    /// Why a round of writing has ended.
    enum End {
        case sent
        /// The kernel takes nothing more until the socket is writable again.
        case blocked
        case lost(IOResult)
    }

    init(pools: MessagePools) { self.pools = pools }

    /// Sends what was kept before.
    func sendPending(of connection: Connection) -> End {
        guard let pending = connection.pendingOutput else { return .sent }
        switch connection.transport.write(pending.octets) {
        case .octets(let count): pending.take(count)
        case .wouldBlock: break
        case let reason: return lost(pending.count, of: connection, reason)
        }
        guard pending.isEmpty else {
            connection.state.writingBlocked()
            return .blocked
        }
        connection.pendingOutput = nil
        pools.give(pending)
        return .sent
    }

    /// The kernel took nothing of octets that the session had handed over. Of TLS records, some may have gone before.
    private func lost(_ count: Int, of connection: Connection, _ reason: IOResult) -> End {
        if !connection.transport.isSecure { connection.session.neverLeft(count) }
        return .lost(reason)
    }

    /// Sends what the session has to say.
    /// - Returns: how many octets it had, at most about `octetsPerWrite`.
    func send(of connection: Connection) -> (count: Int, end: End) {
        buffer.clear(keeping: 4 * Self.octetsPerWrite)
        connection.session.flush(into: buffer, limit: Self.octetsPerWrite)
        let count = buffer.count
        guard count > 0 else { return (0, .sent) }
        switch connection.transport.write(buffer.octets) {
        case .octets(let sent): buffer.take(sent)
        case .wouldBlock: break
        case let reason: return (count, lost(count, of: connection, reason))
        }
        if buffer.isEmpty { return (count, .sent) }
        connection.state.writingBlocked()
        let pending = pools.takeBuffer()
        pending.swapContents(with: buffer)
        connection.pendingOutput = pending
        return (count, .blocked)
    }
}
