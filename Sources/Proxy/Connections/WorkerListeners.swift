internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Telemetry

/// Listeners that come and go with snapshots, and the steps of a graceful end.
extension Worker {
    /// Opens what is new, drains what is gone, leaves the rest alone.
    func updateListeners(_ snapshot: Snapshot) {
        var wanted: [Int: ListenerSockets] = [:]
        for binding in snapshot.listeners { wanted[binding.sockets.number] = binding.sockets }
        for (number, entry) in listening where wanted[number] == nil {
            stopListening(entry.sockets, entry.slot)
            drain(listener: number)
        }
        for (number, sockets) in wanted where listening[number] == nil {
            guard !isListeningOver else {
                sockets.close(worker: self.number)
                continue
            }
            let slot = nextSlot
            let token = register(.listener(sockets))
            guard (try? poller.watchReadable(sockets.descriptor(worker: self.number), token: token)) != nil else {
                vacate(slot)
                continue
            }
            listening[number] = (sockets, slot)
        }
    }

    private func stopListening(_ sockets: ListenerSockets, _ slot: Int) {
        poller.forget(sockets.descriptor(worker: number))
        sockets.close(worker: number)
        vacate(slot)
        listening[sockets.number] = nil
    }

    /// Idle connections use the newest configuration from now on and keep no older one alive.
    func releaseSnapshots() {
        forEachConnection { connection in
            if self.current?.bindings[connection.listener] != nil { connection.snapshot = nil }
        }
    }

    private func drain(listener: Int) {
        forEachConnection { connection in
            guard connection.listener == listener else { return }
            guard connection.phase == .open || connection.phase == .lingering else {
                self.refused(.connection(.listenerClosed), on: connection)
                return self.close(connection)
            }
            self.announceShutdown(connection)
            self.refuseNewStreams(connection)
        }
    }

    /// Connections to endpoints that no cluster has any more end when their streams do.
    /// - Parameter numbers: of endpoints, perhaps of some that are still in use.
    func dropPools(_ numbers: [Int]) {
        for number in numbers where number < endpointPools.count {
            guard let pool = endpointPools[number], pool.endpoint.isGone else { continue }
            endpointPools[number] = nil
            pool.isRetired = true    // a connection that is in use ends when it is given back
            for connection in pool.http1 + pool.http2 {
                connection.isDraining = true
                if connection.codec.openStreams == 0 { close(connection) }
            }
        }
    }

    func forEachConnection(_ body: (Connection) -> Void) {
        for index in watchers.indices {
            if case .connection(let connection) = watchers[index], !connection.isClosed { body(connection) }
        }
    }

    // MARK: graceful end

    func announceShutdown() {
        forEachConnection { connection in
            if connection.role == .downstream { self.announceShutdown(connection) }
        }
    }

    func announceShutdown(_ connection: Connection) {
        guard connection.phase == .open, !connection.isShutdownAnnounced else { return }
        connection.isShutdownAnnounced = true
        connection.codec.announceShutdown()
        markDirty(connection)
    }

    func refuseNewStreams() {
        forEachConnection { connection in
            if connection.role == .downstream, connection.isShutdownAnnounced { self.refuseNewStreams(connection) }
        }
    }

    func refuseNewStreams(_ connection: Connection) {
        guard connection.phase == .open else { return }
        if case .http2(let session) = connection.codec { session { $0.refuseNewStreams() } }
        if connection.role == .upstream {
            connection.isDraining = true
            if connection.codec.openStreams == 0 { return close(connection) }
        }
        markDirty(connection)
    }

    func closeListeners() {
        isListeningOver = true
        for (_, entry) in listening {
            accept(from: entry.sockets, slot: entry.slot)    // who was let in by the kernel already is served
            stopListening(entry.sockets, entry.slot)
        }
    }
}
