internal import HTTP
internal import Octets
internal import Reactor

/// From what sessions have to say to writable sockets.
extension Worker {
    /// Sends what the session has to say, as much as the kernel takes.
    func flush(_ connection: Connection) {
        guard connection.phase == .open else { return }
        guard !connection.isWriteBlocked, sendPending(connection) else {
            // Streams may have come to their end meanwhile: their requests must not pile up until somebody reads.
            if !connection.isClosed, connection.codec.isHTTP2 { actOnEvents(of: connection) }
            if !connection.isClosed { abandonIfUseless(connection) }
            return
        }
        for _ in 0..<Self.flushesPerTurn {
            output.clear(keeping: 4 * Self.flushOctets)
            connection.codec.flush(into: output, limit: Self.flushOctets)
            let count = output.count
            let isSent = count == 0 || send(connection)
            actOnEvents(of: connection)
            guard isSent, !connection.isClosed else { return }
            if count < Self.flushOctets { return closeIfDone(connection) }
        }
        markDirty(connection)
    }

    /// An endpoint that takes nothing more, of a connection that nobody uses or will use: what waits for it,
    /// here and in the kernel, was given up by its client.
    private func abandonIfUseless(_ connection: Connection) {
        guard connection.role == .upstream, connection.codec.openStreams == 0 else { return }
        guard connection.isDraining || connection.codec.isClosing else { return }
        Socket.abort(connection.descriptor)
        close(connection)
    }

    /// - Returns: false when the kernel takes no more or the connection is gone.
    private func sendPending(_ connection: Connection) -> Bool {
        guard let pending = connection.pendingOutput else { return true }
        switch connection.write(pending.octets) {
        case .octets(let count):
            pending.take(count)
            guard pending.isEmpty else {
                connection.isWriteBlocked = true
                return false
            }
            connection.pendingOutput = nil
            pools.give(pending)
            return true
        case .wouldBlock:
            connection.isWriteBlocked = true
        case .closed, .failed:
            peerClosed(connection)
        }
        return false
    }

    /// Writes `output`; what the kernel does not take is kept with the connection.
    private func send(_ connection: Connection) -> Bool {
        switch connection.write(output.octets) {
        case .octets(let count):
            output.take(count)
            if output.isEmpty { return true }
        case .wouldBlock: break
        case .closed, .failed:
            peerClosed(connection)
            return false
        }
        connection.isWriteBlocked = true
        let pending = pools.takeBuffer()
        pending.exchange(with: output)
        connection.pendingOutput = pending
        return false
    }

    /// Octets that went out open the windows of those they came from.
    func passWindows(of connection: Connection) {
        var index = 0
        while let taken = connection.codec.taken(at: index) {
            index += 1
            guard case .exchange(let number) = taken.owner, number < exchanges.count else { continue }
            let exchange = exchanges[number]
            exchange { $0.passWindow(of: connection, taken) }
        }
    }
}
