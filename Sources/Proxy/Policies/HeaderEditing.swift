internal import Balancing
internal import HTTP
internal import Octets
internal import Reactor
internal import Routing
internal import TLS

/// Header operations on one message. Source: docs/behaviour.md, Header operations and rewrites.
enum HeaderEditing {
    /// Which header section is edited.
    enum Message { case request, response }

    /// Edits the header section of a request or of an answer.
    /// - Parameter edits: all workers use the same, so that no reference to them is counted.
    /// - Returns: false when the values are more than `HeaderScratch.mostTakenOctets`: the section must not be sent.
    static func apply(
        _ edits: Unretained<HeaderEdits>, to block: HeaderBlock, of message: Message, _ exchange: Exchange
    ) -> Bool {
        exchange.services.headerScratch { scratch in
            edits { apply($0, to: block, message, exchange, scratch) }
        }
    }

    private static func apply(
        _ edits: HeaderEdits, to block: HeaderBlock, _ message: Message, _ exchange: Exchange, _ scratch: HeaderScratch
    ) -> Bool {
        var names = edits.needsNames ? block.names : NameSet()
        if names.mayMeet(edits.removedNames) { remove(edits, from: block) }
        scratch.begin()
        if edits.readsFields, !makeValues(edits, block, message, exchange, scratch) { return false }
        for index in 0..<edits.setCount {
            let field = edits.set(index)
            let value = value(of: field, edits, block, message, exchange, scratch)
            if value.isEmpty { continue }
            if names.mayHave(field.name) {
                block.set(copying: field.name, value)
            } else {
                names.insert(field.name)
                block.append(stable: block.copy(field.name), value)
            }
        }
        for index in 0..<edits.additionCount {
            let field = edits.addition(index)
            let value = value(of: field, edits, block, message, exchange, scratch)
            if !value.isEmpty { block.append(stable: block.copy(field.name), value) }
        }
        return !scratch.isExceeded
    }

    private static func remove(_ edits: HeaderEdits, from block: HeaderBlock) {
        block.edit { field in
            for index in 0..<edits.removalCount where field.name == edits.removal(index) { return .remove }
            return .keep
        }
    }

    @inline(__always)
    private static func value(
        of field: HeaderEdits.Value, _ edits: HeaderEdits, _ block: HeaderBlock, _ message: Message,
        _ exchange: Exchange, _ scratch: HeaderScratch
    ) -> Octets {
        if !field.text.isEmpty { return block.copy(field.text) }
        if edits.readsFields { return scratch.nextValue() }
        return made(field, edits, block, message, exchange, scratch)
    }

    /// Makes the values that are more than the rule's text, before anything is set: they see the section as it was.
    /// - Returns: false when they are too large.
    private static func makeValues(
        _ edits: HeaderEdits, _ block: HeaderBlock, _ message: Message, _ exchange: Exchange, _ scratch: HeaderScratch
    ) -> Bool {
        for index in 0..<edits.setCount where edits.set(index).text.isEmpty {
            scratch.note(made(edits.set(index), edits, block, message, exchange, scratch))
        }
        for index in 0..<edits.additionCount where edits.addition(index).text.isEmpty {
            scratch.note(made(edits.addition(index), edits, block, message, exchange, scratch))
        }
        return !scratch.isExceeded
    }

    /// The octets of a value, which live as long as the block.
    private static func made(
        _ value: HeaderEdits.Value, _ edits: HeaderEdits, _ block: HeaderBlock, _ message: Message,
        _ exchange: Exchange, _ scratch: HeaderScratch
    ) -> Octets {
        guard !scratch.isExceeded else { return .empty }
        if value.pieces.count == 1, edits.piece(value.pieces.first).kind == .remoteHost {
            // The most usual operator: its value is short, and nothing in it has to be cleaned.
            return block.copy(ClientTrust.host(of: exchange))
        }
        scratch.beginValue()
        for index in value.pieces.first..<(value.pieces.first + value.pieces.count) {
            write(edits.piece(index), block, message, exchange, to: scratch.buffer)
            if scratch.buffer.count > HeaderScratch.mostTakenOctets { break }
        }
        scratch.takenOctets += scratch.buffer.count
        return HeaderText.made(scratch.buffer.octets, in: block)
    }

    private static func write(
        _ piece: HeaderEdits.Piece, _ block: HeaderBlock, _ message: Message, _ exchange: Exchange,
        to buffer: OctetBuffer
    ) {
        switch piece.kind {
        case .text: buffer.append(piece.text)
        case .requestField:
            let found = field(piece.text, block, message, exchange) ?? field(piece.other, block, message, exchange)
            buffer.append((found ?? .empty).prefix(piece.most))
        case .responseField:
            let found = block.first(named: piece.text) ?? block.first(named: piece.other)
            buffer.append((found ?? .empty).prefix(piece.most))
        case .responseCode: buffer.append(block.first(.status) ?? .empty)
        case .startTime:
            let time = exchange.startedWall
            TimeFormat.write(piece.text, seconds: time.seconds, nanoseconds: time.nanoseconds, to: buffer)
        case .routeName: buffer.append(text: exchange.route.unretained?({ $0.route.name }) ?? "")
        case .cluster: buffer.append(text: exchange.destination.unretained?({ $0.cluster.name }) ?? "")
        case .upstreamAddress: buffer.append(text: exchange.endpoint.unretained?({ $0.name }) ?? "")
        case .hostName: buffer.append(text: HostName.text)
        case .remoteAddress: buffer.append(text: ClientTrust.text(of: exchange) ?? "")
        case .remoteHost: buffer.append(ClientTrust.host(of: exchange))
        case .remotePort: buffer.append(text: HeaderText.port(of: ClientTrust.text(of: exchange)))
        default: exchange.downstream?.connection { write(piece.kind, of: $0, to: buffer) }
        }
    }

    /// What the client's connection knows.
    private static func write(_ kind: HeaderEdits.Piece.Kind, of connection: Connection, to buffer: OctetBuffer) {
        switch kind {
        case .directAddress: buffer.append(text: connection.directText ?? "")
        case .directHost: buffer.append(text: HeaderText.host(of: connection.directText))
        case .directPort: buffer.append(text: HeaderText.port(of: connection.directText))
        case .localAddress: buffer.append(text: connection.localText ?? "")
        case .localHost: buffer.append(text: HeaderText.host(of: connection.localText))
        case .localPort: buffer.append(text: HeaderText.port(of: connection.localText))
        case .serverName: buffer.append(text: connection.transport.tls?.serverName ?? "")
        case .protocolName:
            let session = connection.session
            buffer.append(session.isHTTP2 ? "HTTP/2" as Octets : session.isHTTP10 ? "HTTP/1.0" : "HTTP/1.1")
        default: break
        }
    }

    /// The first value of a field of the request: of this try's section if that is edited, else of the client's, with
    /// the path in its normal form and the identifier that the upstream got.
    private static func field(
        _ name: Octets, _ block: HeaderBlock, _ message: Message, _ exchange: Exchange
    ) -> Octets? {
        guard !name.isEmpty else { return nil }
        if message == .request { return block.first(named: name) }
        if name == ":path" { return exchange.path }
        if name == "x-request-id" { return exchange.identifier.withText { block.copy($0) } }
        if name == ":scheme" { return ClientTrust.scheme(of: exchange) }
        return exchange.request.unretained? { request in
            name == ":authority" ? request.first(.authority) ?? request.first(.host) : request.first(named: name)
        } ?? nil
    }
}
