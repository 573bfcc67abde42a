internal import HTTP
internal import Octets
internal import Reactor
internal import Telemetry

/// Clients that cancel very many requests: they are read in small pieces, with pauses. Their worker's thread only.
struct SlowClients {
    private let services: WorkerServices

    init(services: WorkerServices) { self.services = services }

    /// Reads such a client slowly, and begins the pause that its session asks for.
    func slowDown(_ connection: Connection) {
        guard connection.role == .downstream, case .http2(let session) = connection.session else { return }
        connection.state.slowDown(session { $0.isSlow })
        guard connection.state.isSlow, !connection.isClosed else { return }
        let pause = session { $0.takePause() }
        guard pause > 0 else { return }
        services.metrics.reached(.resetPause)
        services.loop.cancel(&connection.pause)
        connection.pause = services.loop.arm(at: services.loop.now + .milliseconds(pause), .pause, connection.slot)
        connection.state.holdReading()
    }

    /// The pause in reading is over.
    func endPause(_ connection: Connection) {
        connection.pause = .none
        connection.state.pauseReading()
        services.lists.resumeReading(connection)
    }
}
