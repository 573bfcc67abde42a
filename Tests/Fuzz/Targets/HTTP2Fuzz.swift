import HTTP
import Octets

/// HTTP/2 sessions under a peer that may send anything. No octets may trap, the pieces in which they come make no
/// difference, what waits to be sent stays bounded, and no header section is lost.
enum HTTP2Fuzz {
    /// The largest answer to octets of chance that nobody reads: control frames up to their limit, and a few bodies.
    private static let mostOctetsOut = 400_000

    static let server: @Sendable ([UInt8]) -> Void = { run($0, isServer: true) }
    static let client: @Sendable ([UInt8]) -> Void = { run($0, isServer: false) }

    private static func run(_ octets: [UInt8], isServer: Bool) {
        var supply = Supply(octets)
        let (seed, mode) = (supply.octet(), supply.octet())
        var stream = supply.everything()
        // Else the fuzzer would have to guess the preface each time.
        if isServer, mode & 1 == 0 { stream = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + stream }
        let pools = MessagePools()
        defer { demand(pools.headerOctets == 0, "header sections are counted that nobody holds") }
        if mode & 2 == 0 { return live(stream, seed: seed, HTTP2End(isServer: isServer, pools)) }
        let whole = watch([stream[...]], HTTP2End(isServer: isServer, pools))
        var pieces = Pieces(seed: seed)
        let cut = watch(pieces.cut(stream, most: 40), HTTP2End(isServer: isServer, pools))
        demand(whole == cut, "in pieces it is something else: \(whole) \(cut)")
    }

    /// Reads what comes and does nothing else.
    private static func watch(_ pieces: [ArraySlice<UInt8>], _ side: HTTP2End) -> [String] {
        if !side.session.isServer { side.ask() }
        for piece in pieces { side.receive(piece) }
        side.end()
        return side.noted
    }

    /// Does with each stream what a gateway might.
    private static func live(_ stream: [UInt8], seed: UInt8, _ side: HTTP2End) {
        if !side.session.isServer { side.ask() }
        var dice = Pieces(seed: seed)
        let out = OctetBuffer()
        for piece in dice.cut(stream, most: 120) {
            side.receive(piece)
            side.act(&dice)
            guard dice.next(below: 3) == 0 else { continue }
            side.session.flush(into: out, limit: 1 + dice.next(below: 5000))
            side.endTurn()
            demand(out.count < mostOctetsOut, "\(out.count) octets wait to be sent")
            if dice.next(below: 2) == 0 { out.clear() }
        }
        side.session.flush(into: out, limit: .max)
        side.endTurn()
        side.end()
    }
}

/// One end of a connection, and what it was told.
final class HTTP2End {
    let session: HTTP2Session
    private let pools: MessagePools
    private(set) var noted: [String] = []
    private var bodyOctets = 0

    init(isServer: Bool, _ pools: MessagePools) {
        self.pools = pools
        session = HTTP2Session(isServer: isServer, limits: isServer ? HTTP2Limits() : .upstream, pools: pools)
    }

    /// Opens some streams, as a gateway has towards an upstream.
    func ask() {
        for number in 0..<3 {
            let block = pools.takeBlock()
            block.append(stable: ":method", "POST")
            block.append(stable: ":scheme", "http")
            block.append(stable: ":authority", "a")
            block.append(stable: ":path", "/s/M")
            _ = session.submitRequest(
                block, isEnd: number == 0, owner: .exchange(number), keepsBody: number == 1)
            pools.letGo(block)
        }
        session.flush(into: OctetBuffer(), limit: .max)
        endTurn()
    }

    func receive(_ octets: ArraySlice<UInt8>) {
        octets.withOctets { octets in
            var rest = octets
            repeat {
                let before = rest.count
                _ = session.receive(&rest)
                let hasEvents = session.events.count > 0
                endTurn()
                demand(rest.count < before || hasEvents || rest.isEmpty, "reading stands still")
            } while !rest.isEmpty
        }
    }

    func endTurn() {
        for event in session.events { note(event) }
        session.endTurn()
    }

    private func note(_ event: StreamEvent) {
        switch event.kind {
        case .headers, .trailers:
            guard let block = session.takeHeaders(event.slot) else { broken("a section is lost") }
            let fields = block.fields.map { "\($0.name.array): \($0.value.array)" }.joined(separator: ", ")
            noted.append("\(event.kind) \(event.isLast) \(fields)")
            pools.letGo(block)
        case .data:
            session.consume(event.slot, event.data.count)
            let isNext = noted.last?.hasPrefix("data") == true
            bodyOctets = (isNext ? bodyOctets : 0) + event.data.count
            if isNext { noted.removeLast() }
            noted.append("data \(bodyOctets)")
        case .violation:
            if event.slot >= 0, let block = session.takeHeaders(event.slot) { pools.letGo(block) }
            noted.append("violation \(event.violation.map { "\($0)" } ?? "")")
        case .closed, .goAway: noted.append("\(event.kind) \(event.errorCode)")
        default: noted.append("\(event.kind)")
        }
    }

    /// Something that an owner does with a stream that there is.
    func act(_ dice: inout Pieces) {
        var open: [Int] = []
        session.forEachOpen { slot, _ in open.append(slot) }
        guard !open.isEmpty else { return }
        let slot = open[dice.next(below: open.count)]
        switch dice.next(below: 7) {
        case 0 where session.isServer: respond(slot, isEnd: dice.next(below: 4) == 0)
        case 1: Array(repeating: UInt8(0x78), count: dice.next(below: 3000)).withOctets { session.send(slot, $0) }
        case 2: session.finish(slot)
        case 3: session.reset(slot, code: ErrorCode.cancel)
        case 4: session.announceShutdown()
        case 5: session.ping()
        default: session.resetAfterEnd(slot)
        }
        endTurn()
    }

    private func respond(_ slot: Int, isEnd: Bool) {
        let block = pools.takeBlock()
        block.append(stable: ":status", "200")
        block.append(stable: "x-a", "b")
        session.submitResponse(slot, block, isEnd: isEnd)
        pools.letGo(block)
    }

    /// Ends the connection, with all streams that are still open.
    func end() {
        session.terminate(code: ErrorCode.none)
        session.flush(into: OctetBuffer(), limit: .max)
        endTurn()
        session.forEachOpen { slot, _ in session.reset(slot, code: ErrorCode.cancel) }
        endTurn()
    }
}
