internal import HTTP
internal import Synchronization

/// Which of the clients that are connected hear of the end at a time. All at once would connect elsewhere at once.
package enum DrainShare: Sendable, Equatable {
    /// Those of HTTP/1.1: the next answer says `connection: close`, which costs nobody anything before that.
    case http1
    /// One of so many waves.
    case wave(Int, of: Int)

    /// - Parameter slot: of a connection; slots are numbered one after the other.
    func has(slot: Int, isHTTP2: Bool) -> Bool {
        switch self {
        case .http1: !isHTTP2
        case .wave(let number, let count): slot % max(1, count) == number
        }
    }
}

// The steps of a drain that take more than a message.
extension Listeners {
    /// Tells a share of the clients that the connection is going to end; their requests are still taken.
    func announceShutdown(to share: DrainShare) {
        services.loop.forEachConnection { connection in
            guard connection.role == .downstream,
                share.has(slot: connection.slot, isHTTP2: connection.session.isHTTP2)
            else { return }
            connections.announceShutdown(connection)
        }
    }

    /// A client's connection has lasted as long as it may: it hears of the end, and a while later no further requests
    /// are taken. Those that run are not touched.
    func aged(_ connection: Connection) {
        if connection.state.aged(at: services.loop.now) {
            connections.announceShutdown(connection)
        } else {
            connections.refuseNewStreams(connection)
        }
        if !connection.isClosed { connections.schedule(connection) }
    }

    /// Accepts whom the kernel has let in already: they would be reset when the socket is closed.
    func acceptAll(from sockets: ListenerSockets, slot: Int) {
        for _ in 0..<services.limits.turn.mostLastAccepts {
            let before = clients
            accept(from: sockets, slot: slot)
            if clients <= before { return }
        }
    }

    private var clients: Int { services.status.downstreamConnections.load(ordering: .relaxed) }

    /// The time for a drain is over, or it is ended at once: what clients still wait for ends unanswered, each with a
    /// line of the access log.
    func cut() {
        var cut = (requests: 0, relays: 0)
        services.loop.forEachConnection { connection in
            guard connection.role == .downstream else { return }
            if connection.relay != nil { cut.relays += 1 }
            connection.session.forEachOpen { _, owner in
                if owner.exchange != nil { cut.requests += 1 }
            }
            connections.loseStreams(of: connection, .drainOver)
        }
        services.status.cutRequests.store(cut.requests, ordering: .relaxed)
        services.status.cutRelays.store(cut.relays, ordering: .relaxed)
    }
}
