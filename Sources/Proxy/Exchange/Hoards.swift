internal import HTTP
internal import Octets
internal import Reactor
internal import Telemetry

/// What waits in memory for a side that does not take it, and the way to give it up: exchanges with their bodies, and
/// connections with what the kernel did not take.
///
/// Thread: its worker's. Freed by: `MemoryWatch`.
final class Hoards {
    private let services: WorkerServices
    private let connections: Connections
    private let exchanges: Exchanges

    /// Less than this is not worth a request's life.
    private static let least = 8192
    /// A side that has taken nothing for this long stands still.
    private static let stillness: UInt64 = 1_000_000_000

    init(services: WorkerServices, connections: Connections, exchanges: Exchanges) {
        self.services = services
        self.connections = connections
        self.exchanges = exchanges
    }

    /// Ends exchanges, and then connections, until that many octets are given up. Those that hold much for long come
    /// first: a client that takes its answer is not among them while there are others.
    /// - Parameter stuckOnly: only those count that stand still.
    /// - Returns: the octets that will be free at the end of the turn, about.
    func giveUp(_ wanted: Int, stuckOnly: Bool) -> Int {
        let given = endExchanges(wanted, stuckOnly: stuckOnly)
        return given < wanted ? given + endConnections(wanted - given, stuckOnly: stuckOnly) : given
    }

    private func endExchanges(_ wanted: Int, stuckOnly: Bool) -> Int {
        var found: [(weight: UInt64, octets: Int, exchange: Exchange)] = []
        exchanges.forEachInUse { exchange in
            let octets = exchange.waitingOctets
            let still = services.loop.now.nanoseconds(since: exchange.lastProgress)
            guard octets >= Self.least, !stuckOnly || still >= Self.stillness else { return }
            found.append((UInt64(octets) &* (still / 1_000_000 + 1), octets, exchange))
        }
        var given = 0
        for (_, octets, exchange) in found.sorted(by: { $0.weight > $1.weight }) {
            guard given < wanted else { break }
            services.metrics.reached(.memory)
            exchange.memoryEnded()
            given += octets
        }
        return given
    }

    private func endConnections(_ wanted: Int, stuckOnly: Bool) -> Int {
        var found: [(octets: Int, connection: Connection)] = []
        services.loop.forEachConnection { connection in
            guard let pending = connection.pendingOutput else { return }
            let octets = pending.count + connection.session.unsentOctets
            let still = services.loop.now.nanoseconds(since: connection.state.lastActive)
            guard octets >= Self.least, !stuckOnly || still >= Self.stillness else { return }
            found.append((octets, connection))
        }
        var given = 0
        for (octets, connection) in found.sorted(by: { $0.octets > $1.octets }) {
            guard given < wanted else { break }
            services.metrics.reached(.memory)
            if let relay = connection.relay { connections.relays.end(relay, .overloaded) }
            connections.giveUp(connection, connection.role == .downstream ? .overloaded : .localReset)
            given += octets
        }
        return given
    }
}
