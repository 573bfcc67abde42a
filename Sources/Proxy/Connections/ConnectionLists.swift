internal import HTTP
internal import Octets

/// Which connections have something to do before the worker sleeps: to be flushed, to be read further, to be freed.
///
/// Thread: its worker's. Freed by: `WorkerServices`.
final class ConnectionLists {
    /// Connections live until the end of the turn, behind the flushes.
    private var dirty: ContiguousArray<Unretained<Connection>> = []
    private var unread: ContiguousArray<Connection> = []
    private var reading: ContiguousArray<Connection> = []
    private var closed: ContiguousArray<Connection> = []

    /// Whether a connection has more to read than one turn wanted to take.
    var hasUnread: Bool { !unread.isEmpty }
    /// How many of those that earlier turns left are still to be read in this one.
    private var behind = 0
    /// Whether others than the connection that is read now wait for this turn or the next one.
    var haveOthers: Bool { !unread.isEmpty || behind > 0 }

    /// Has the connection flushed at the end of the turn.
    @inline(__always)
    func markDirty(_ connection: Connection) {
        guard !connection.isDirty else { return }
        connection.isDirty = true
        dirty.append(Unretained(connection))
    }

    /// Flushes every connection that has something to say. A flush may make other connections dirty (windows open
    /// again): they are flushed in this turn too.
    func flushAll(_ flush: (Connection) -> Void) {
        var index = 0
        while index < dirty.count {
            let next = dirty[index]
            next { connection in
                connection.isDirty = false
                flush(connection)
            }
            index += 1
        }
        dirty.removeAll(keepingCapacity: true)
    }

    /// Has the connection read in the next turn, without another event of epoll. One that is held is read when its
    /// pause is over.
    func listForReading(_ connection: Connection) {
        guard connection.state.reading != .held else { return }
        connection.state.readNextTurn()
        // It may be in the list still: it was listed, and then its reading was paused by an event in between.
        guard !connection.isUnread else { return }
        connection.isUnread = true
        unread.append(connection)
    }

    /// Whether others come first: the connection is listed for reading already, or it had much to do lately or may have
    /// (the end of a connection is that of its streams), and the turn is long enough. It is read in a later turn then.
    /// - Parameter isCrowded: whether it is.
    func hasToWait(_ connection: Connection, isCrowded: Bool) -> Bool {
        if connection.isUnread, connection.state.reading == .listed { return true }
        guard isCrowded, connection.state.reading == .ready, isHeavy(connection), !isFree(connection) else {
            return false
        }
        listForReading(connection)
        return true
    }

    /// What comes on an endpoint's connection without requests is its end: a new request must not be sent before that
    /// is read.
    private func isFree(_ connection: Connection) -> Bool {
        connection.role == .upstream && connection.session.openStreams == 0
    }

    private func isHeavy(_ connection: Connection) -> Bool {
        connection.isHeavy || hasManyStreams(connection)
    }

    /// A client may end all of its streams at once. An endpoint's connection has those of many clients, who would wait.
    private func hasManyStreams(_ connection: Connection) -> Bool {
        connection.role == .downstream && connection.session.openStreams >= Self.manyStreams
    }

    /// What the end of a stream costs whose connection is lost, in units of `WorkBudget`: its request is ended at the
    /// other side, counted, and logged.
    static let endOfStream: Int32 = 60
    /// Streams whose end is as much work as a connection may cause in a turn.
    private static let manyStreams = Int(WorkBudget.quotaPerTurn / endOfStream)

    /// Reading that was paused may go on: what waits in the kernel is no new event.
    func resumeReading(_ connection: Connection) {
        guard connection.state.reading == .paused, !connection.isClosed, !connection.session.isReadPaused else {
            return
        }
        listForReading(connection)
    }

    /// Reads on where earlier turns left octets: a few connections in a turn, at least one, and the others in the next
    /// ones. Between them, connections with new events are served.
    /// - Parameter isLong: whether the turn is long enough without a further one.
    func readLeftOver(isLong: () -> Bool, _ read: (Connection) -> Void) {
        guard !unread.isEmpty else { return }
        swap(&reading, &unread)
        var count = 0
        for connection in reading.prefix(Self.leftOverPerTurn) {
            count += 1
            behind = reading.count - count
            connection.isUnread = false
            // What was paused or held since is listed again when it may go on.
            guard connection.state.reading == .listed, !connection.isClosed else { continue }
            connection.state.awaitReadiness()
            read(connection)
            if isLong() { break }
        }
        behind = 0
        reading.removeFirst(count)
        reading.append(contentsOf: unread)
        swap(&reading, &unread)
        reading.removeAll(keepingCapacity: true)
    }

    private static let leftOverPerTurn = 4

    /// Keeps a closed connection until the end of the turn: events in hand may still refer to it.
    func keepClosed(_ connection: Connection) { closed.append(connection) }

    /// Frees what was closed in this turn.
    func releaseClosed(_ release: (Connection) -> Void) {
        guard !closed.isEmpty else { return }
        for connection in closed { release(connection) }
        closed.removeAll(keepingCapacity: true)
    }
}
