internal import HTTP
internal import Reactor
internal import Telemetry

/// Closes clients' connections that have no requests, when all places are taken and a new client waits.
///
/// Thread: its worker's. Freed by: `Worker`.
final class Evictions {
    private let services: WorkerServices
    private let connections: Connections
    private let refusals: Refusals
    private var madeAt: MonotonicTime?    // the turn in which room was last made

    init(services: WorkerServices, connections: Connections, refusals: Refusals) {
        self.services = services
        self.connections = connections
        self.refusals = refusals
    }

    /// Closes the connections that `EvictionOrder` puts first: a few, once in a turn. Their places are free at the end
    /// of the turn.
    /// - Parameters:
    ///   - kind: the most that may be given up.
    ///   - listener: whose connections, by its number; nil: any.
    /// - Returns: false when there was none to close.
    func makeRoom(upTo kind: EvictionOrder.Kind, of listener: Int?) -> Bool {
        guard madeAt != services.loop.now else { return true }
        var idle: [(order: EvictionOrder, connection: Connection)] = []
        services.loop.forEachConnection { connection in
            guard listener == nil || connection.listener == listener,
                let order = EvictionOrder(connection.state, openStreams: connection.session.openStreams),
                order.kind <= kind
            else { return }
            idle.append((order, connection))
        }
        idle.sort { $0.order < $1.order }
        let limit = listener == nil ? nil : services.limits.listenerConnections
        let count = services.budget.connectionsPerSearch(of: limit)
        for (_, connection) in idle.prefix(count) { evict(connection) }
        if !idle.isEmpty { madeAt = services.loop.now }
        return !idle.isEmpty
    }

    /// GOAWAY says to an HTTP/2 client that nothing of what it may be sending now is done, so that it sends that
    /// again elsewhere.
    private func evict(_ connection: Connection) {
        refusals.note(.connection(.evicted), on: connection)
        if connection.isOpen {
            connections.announceShutdown(connection)
            connections.refuseNewStreams(connection)
            connections.flush(connection)
        }
        connections.giveUp(connection, .overloaded)
    }
}

extension Connections {
    /// Gives a connection up from outside of its events. Streams may have come to their end in this turn already.
    func giveUp(_ connection: Connection, _ situation: Situation) {
        actOnEvents(of: connection)
        guard !connection.isClosed else { return }
        loseStreams(of: connection, situation)
        close(connection)
    }
}
