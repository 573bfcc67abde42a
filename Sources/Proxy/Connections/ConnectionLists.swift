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
    /// By `Late`, each in order of arrival.
    private var late = ContiguousArray(repeating: ContiguousArray<Connection>(), count: Late.allCases.count)
    private var lateCount = 0    // of all
    private var kept: ContiguousArray<Connection> = []    // of those that are gone through, for the next turn
    private var closed: ContiguousArray<Connection> = []
    /// Those that have more to say than a turn gives to one of them; they may be closed before the next one.
    private var unsent: ContiguousArray<Connection> = []
    private var sending: ContiguousArray<Connection> = []
    private var turn: UInt32 = 1    // its number
    private var fullWrites = 0    // of this turn, of all connections

    /// Whether a connection has more to read than one turn wanted to take.
    var hasUnread: Bool { !unread.isEmpty || lateCount > 0 }
    /// Whether something is to be read when all else of the turn is done.
    var hasLate: Bool { lateCount > 0 }
    /// Whether a connection has more to say than one turn wanted to send.
    var hasUnsent: Bool { !unsent.isEmpty }
    /// How many of those that earlier turns left are still to be read in this one.
    private var behind = 0
    /// Whether others than the connection that is read now wait for this turn or the next one.
    var haveOthers: Bool { !unread.isEmpty || behind > 0 || !kept.isEmpty }
    /// Whether relays wait that have much to pass on.
    var haveRelays: Bool { !late[Late.relays.rawValue].isEmpty }

    /// A turn begins: each connection may have its part of it.
    func turnBegins() {
        turn &+= 1
        fullWrites = 0
    }

    /// A connection had more to say than one write takes.
    func noteFullWrite() { fullWrites += 1 }

    /// Has the connection flushed at the end of the turn. One that is closed has nothing to say any more, and is not
    /// listed: it is freed when the turn is over.
    @inline(__always)
    func markDirty(_ connection: Connection) {
        guard !connection.isDirty, !connection.isClosed else { return }
        connection.isDirty = true
        dirty.append(Unretained(connection))
    }

    /// Counts a write to the connection's socket in this turn. All connections together have as many full ones as one
    /// of them may have; behind these each has one.
    /// - Returns: whether it may be made; else the connection is to be flushed in the next turn.
    @inline(__always)
    func takeWrite(to connection: Connection, most: Int) -> Bool {
        if connection.writes.turn != turn { connection.writes = (turn, 0) }
        guard connection.writes.count < (fullWrites < most ? most : 1) else { return false }
        connection.writes.count += 1
        return true
    }

    /// Has the connection flushed further in the next turn: it has sent what it may in this one.
    func flushNextTurn(_ connection: Connection) {
        guard !connection.isDirty else { return }
        connection.isDirty = true
        unsent.append(connection)
    }

    /// Flushes every connection that has something to say, those first that the last turn has left. A flush may make
    /// other connections dirty (windows open again): they are flushed in this turn too.
    func flushAll(_ flush: (Connection) -> Void) {
        if !unsent.isEmpty { flushUnsent(flush) }
        flushDirty(flush)
    }

    private func flushDirty(_ flush: (Connection) -> Void) {
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

    private func flushUnsent(_ flush: (Connection) -> Void) {
        swap(&sending, &unsent)
        // The first one has more than the others, so it is another one in each turn.
        let first = Int(turn) % sending.count
        for index in sending.indices {
            let connection = sending[(first + index) % sending.count]
            connection.isDirty = false
            if !connection.isClosed { flush(connection) }
        }
        sending.removeAll(keepingCapacity: true)
    }

    /// Has the connection read further in the next turn: it has been given its part of this one.
    func listServed(_ connection: Connection) {
        connection.servedTurn = turn
        listForReading(connection)
    }

    /// Whether the connection has had its part of this turn.
    @inline(__always)
    func isServed(_ connection: Connection) -> Bool { connection.servedTurn == turn }

    /// Has the connection read in this turn or the next, without another event of epoll. One that is held is read when
    /// its pause is over.
    func listForReading(_ connection: Connection) {
        guard connection.state.reading != .held else { return }
        if connection.state.phase == .lingering { return listLate(connection, .ends) }
        if connection.relay != nil { return listLate(connection, .relays) }
        connection.state.readNextTurn()
        // It may be in the list still: it was listed, and then its reading was paused by an event in between.
        guard !connection.isUnread else { return }
        connection.isUnread = true
        unread.append(connection)
    }

    /// Whether others come first: the connection is listed for reading already, or it is a case of `Late`, or it had
    /// much to do lately or may have (the end of a connection is that of its streams), and the turn is long enough. It
    /// is read in a later turn then; what is late, perhaps later in this one.
    /// - Parameter isCrowded: whether it is.
    func hasToWait(_ connection: Connection, isCrowded: Bool) -> Bool {
        if connection.isUnread, connection.state.reading == .listed { return true }
        guard connection.state.reading == .ready else { return false }
        if let list = Late(connection, isCrowded: isCrowded) {
            listLate(connection, list)
            return true
        }
        guard isCrowded, isHeavy(connection), !isFree(connection) else { return false }
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

    /// Streams whose end is as much work as a connection may cause in a turn.
    private static let manyStreams = Int(WorkBudget.quotaPerTurn / TurnCost.endOfStream)

    /// Reading that was paused may go on: what waits in the kernel is no new event.
    func resumeReading(_ connection: Connection) {
        guard connection.state.reading == .paused, !connection.isClosed, !connection.session.isReadPaused else {
            return
        }
        listForReading(connection)
    }

    /// Reads on where earlier turns left octets: a few connections in a turn, at least one, and the others in the next
    /// ones. Between them, connections with new events are served. Those that had their part of this turn keep their
    /// places, and take nobody else's; they are no more than a turn has events and left-overs.
    /// - Parameter isLong: whether the turn is long enough without a further one.
    func readLeftOver(isLong: () -> Bool, _ read: (Connection) -> Void) {
        guard !unread.isEmpty else { return }
        swap(&reading, &unread)
        var (count, served) = (0, 0)
        while count < reading.count, served < Self.leftOverPerTurn {
            let connection = reading[count]
            count += 1
            behind = reading.count - count
            guard !isServed(connection) else {
                kept.append(connection)
                continue
            }
            connection.isUnread = false
            // What was paused or held since is listed again when it may go on.
            guard connection.state.reading == .listed, !connection.isClosed else { continue }
            served += 1
            connection.state.awaitReadiness()
            read(connection)
            if isLong() { break }
        }
        behind = 0
        reading.removeFirst(count)
        if !kept.isEmpty {
            reading.insert(contentsOf: kept, at: 0)
            kept.removeAll(keepingCapacity: true)
        }
        reading.append(contentsOf: unread)
        swap(&reading, &unread)
        reading.removeAll(keepingCapacity: true)
    }

    private static let leftOverPerTurn = 4

    private func listLate(_ connection: Connection, _ list: Late) {
        connection.state.readNextTurn()
        guard !connection.isUnread else { return }
        connection.isUnread = true
        late[list.rawValue].append(connection)
        lateCount += 1
    }

    /// Goes on with handshakes, then with connections that are at their end, and with relays, when all is sent that
    /// others wait for in this turn: at least one of each, and more while the turn is not long. Ends have room of their
    /// own beside, so that as many may go as come. One that had its part of this turn is not read, and does not count.
    /// - Parameter work: units that the turn has taken.
    func readLate(work: () -> Int32, _ read: (Connection) -> Void, flush: (Connection) -> Void) {
        for list in Late.allCases where !late[list.rawValue].isEmpty {
            swap(&reading, &late[list.rawValue])
            var (count, served) = (0, 0)
            let start = work()
            while count < reading.count, served == 0 || work() < WorkBudget.quotaPerTurn || work() - start < list.room {
                let connection = reading[count]
                count += 1
                connection.isUnread = false
                guard connection.state.reading == .listed, !connection.isClosed else { continue }
                if !isServed(connection) { served += 1 }
                connection.state.awaitReadiness()
                read(connection)
            }
            lateCount -= count
            reading.removeFirst(count)
            reading.append(contentsOf: late[list.rawValue])
            swap(&reading, &late[list.rawValue])
            reading.removeAll(keepingCapacity: true)
        }
        flushDirty(flush)
    }

    /// Keeps a closed connection until the end of the turn: events in hand may still refer to it.
    func keepClosed(_ connection: Connection) { closed.append(connection) }

    /// Frees what was closed in this turn.
    func releaseClosed(_ release: (Connection) -> Void) {
        guard !closed.isEmpty else { return }
        for connection in closed { release(connection) }
        closed.removeAll(keepingCapacity: true)
    }
}
