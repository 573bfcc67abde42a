internal import HTTP
internal import Octets
internal import Reactor
internal import TLS
internal import Telemetry

/// From readable sockets to events that are acted on.
extension Worker {
    func ready(_ connection: Connection, _ event: Readiness) {
        guard !connection.isClosed else { return }
        if event.isHungUp { connection.hasHungUp = true }
        if event.isWritable, connection.isWriteBlocked {
            connection.isWriteBlocked = false
            markDirty(connection)
        }
        if connection.phase == .connecting { return connected(connection, event) }
        if connection.phase == .handshaking { return continueHandshake(connection) }
        if event.isReadable { read(connection) }
    }

    func read(_ connection: Connection) {
        connection.lastActive = now
        for _ in 0..<Self.readsPerTurn {
            if connection.isClosed { return }
            if connection.isHeld || connection.codec.isReadPaused, connection.phase != .lingering {
                return pauseReading(connection)
            }
            if connection.phase == .sniffing, !sniffTLS(connection) { return }
            let room = unsafe connection.isSlow ? .init(rebasing: input[..<Self.slowOctets]) : input
            switch unsafe connection.read(into: room) {
            case .octets(let count):
                guard connection.phase != .lingering else { continue }
                unsafe received(
                    Octets(base: UnsafeRawPointer(input.baseAddress), count: count), on: connection)
                // A short read has emptied the socket: the next readiness is a new event.
                let isDrained = connection.tls?.isDrained ?? (count < room.count)
                if isDrained, !connection.hasHungUp { return }
            case .wouldBlock: return
            case .closed, .failed:
                if let breach = connection.tls?.breach {
                    refused(.connection(.brokenTLS), on: connection, because: breach.words)
                }
                return peerClosed(connection)
            }
        }
        listForReading(connection)
    }

    /// The first octet tells TLS from clear text. A session of OpenSSL's is made only when there is one: it
    /// needs more memory than all the rest of a connection.
    /// - Returns: false when there is nothing to read yet, or a handshake has begun.
    private func sniffTLS(_ connection: Connection) -> Bool {
        guard connection.tls == nil, connection.sniffed == nil,
            let binding = current?.bindings[connection.listener], let selector = binding.tls
        else { return true }
        guard let first = Socket.peek(connection.descriptor) else { return connection.hasHungUp }
        if first != Self.handshakeRecord {
            guard binding.clearTable == nil else { return true }
            if PlainHTTPAnswer.isLikely(first) {
                answerPlainHTTP(connection)
                return false
            }
        }
        startTLS(connection, selector)
        if !connection.isClosed { continueHandshake(connection) }
        return false
    }

    /// What a record with a ClientHello begins with. Source: RFC 8446 §5.1.
    private static let handshakeRecord: UInt8 = 0x16

    /// Clear-text HTTP on a port that serves TLS only.
    private func answerPlainHTTP(_ connection: Connection) {
        refused(.handshake(.plainHTTP), on: connection, status: 400)
        let answer = pools.takeBuffer()
        PlainHTTPAnswer.write(to: answer, date: date.octets(at: wallNow))
        // Nothing was written before: it has room in the kernel, or the client is gone.
        _ = Socket.write(connection.descriptor, answer.octets)
        pools.give(answer)
        linger(connection)
    }

    func listForReading(_ connection: Connection) {
        guard !connection.isListedForReading else { return }
        connection.isListedForReading = true
        unread.append(connection)
    }

    /// The other side has to take more first. A client that is gone is noticed all the same: its end
    /// waits behind octets that nobody may ever want.
    private func pauseReading(_ connection: Connection) {
        connection.isReadingPaused = true
        if connection.hasHungUp, connection.role == .downstream { peerClosed(connection) }
    }

    /// Reading that was paused may go on: what waits in the kernel is no new event.
    func resumeReading(_ connection: Connection) {
        guard connection.isReadingPaused, !connection.isHeld, !connection.isClosed, !connection.codec.isReadPaused
        else { return }
        connection.isReadingPaused = false
        listForReading(connection)
    }

    /// A client that cancels very many requests is read in small pieces, with pauses.
    private func slowDown(_ connection: Connection) {
        guard connection.role == .downstream, case .http2(let session) = connection.codec else { return }
        connection.isSlow = session { $0.isSlow }
        guard connection.isSlow, !connection.isClosed else { return }
        let pause = session { $0.takePause() }
        guard pause > 0 else { return }
        cancel(&connection.pause)
        connection.pause = arm(at: now + .milliseconds(pause), .pause, connection.slot)
    }

    func endPause(_ connection: Connection) {
        connection.pause = .none
        resumeReading(connection)
    }

    /// Octets taken at a time from a client that is slowed down: about 100 requests with their cancelling.
    private static let slowOctets = 4096

    private func received(_ octets: Octets, on connection: Connection) {
        guard connection.phase == .sniffing else { return feed(octets, to: connection) }
        let known: Octets
        if let sniffed = connection.sniffed {
            sniffed.append(octets)
            known = sniffed.octets
        } else {
            known = octets
        }
        switch Preface.look(at: known) {
        case .incomplete:
            guard connection.sniffed == nil else { return }
            let buffer = pools.takeBuffer()
            buffer.append(octets)
            connection.sniffed = buffer
            hurry(connection)
        case .http2, .http1:
            open(connection, http2: Preface.look(at: known) == .http2)
            if !connection.isClosed { feed(known, to: connection) }
            if let buffer = connection.sniffed { pools.give(buffer) }
            connection.sniffed = nil
        }
    }

    private func feed(_ octets: Octets, to connection: Connection) {
        var rest = octets
        repeat {
            if !connection.codec.receive(&rest) { breached(connection) }
            actOnEvents(of: connection)
        } while !rest.isEmpty && !connection.isClosed
        slowDown(connection)
        if connection.isFailing || connection.codec.wantsFlush || connection.codec.isFinished {
            markDirty(connection)
        }
    }

    /// Goes through what the session noted. A request that waited behind the last one is read too.
    func actOnEvents(of connection: Connection) {
        switch connection.codec {
        case .undecided: return
        case .http2(let session): session { actOnEvents(of: connection, $0) }
        case .http1(let session): session { actOnEvents(of: connection, $0) }
        }
    }

    private func actOnEvents(of connection: Connection, _ session: HTTP2Session) {
        act(on: connection) { index in index < session.events.count ? session.events[index] : nil }
        passWindows(of: connection)
        session.endTurn()
        if connection.isReadingPaused { resumeReading(connection) }
    }

    private func actOnEvents(of connection: Connection, _ session: HTTP1Session) {
        repeat {
            act(on: connection) { index in index < session.events.count ? session.events[index] : nil }
            passWindows(of: connection)
            session.endTurn()
            guard !connection.isClosed, session.hasWaitingInput else { break }
            _ = session.receive(.empty)
        } while !session.events.isEmpty
        resumeReading(connection)
    }

    /// Acting on an event may note further ones: the list is asked again each time.
    @inline(__always)
    private func act(on connection: Connection, _ event: (Int) -> StreamEvent?) {
        var index = 0
        let isDownstream = connection.role == .downstream
        while !connection.isClosed, let next = event(index) {
            index += 1
            if isDownstream {
                downstream(next, of: connection)
            } else {
                upstream(next, of: connection)
            }
        }
    }
}
