internal import Octets

/// One stream of a connection. Plain data: the connection is kept alive by whoever keeps this.
struct Stream: BitwiseCopyable {
    let connection: Unretained<Connection>
    let slot: Int    // the session's place of it

    @inline(__always) init(_ connection: Connection, _ slot: Int) {
        self.connection = Unretained(connection)
        self.slot = slot
    }

    @inline(__always) var session: Session { connection { $0.session } }
}

extension Stream {
    /// Whether its peer keeps octets waiting: by a window of HTTP/2, or because it reads nothing of its socket.
    var isHeldBack: Bool { session.isHeldBack(slot) || connection { $0.state.writing != .free } }
}
