import HTTP
import Octets
import Testing

/// One end of an HTTP/2 connection in memory, and what it was told, as lines of text.
final class HTTP2Side {
    let session: HTTP2Session
    let pools: MessagePools
    private(set) var noted: [String] = []
    /// Why streams were refused.
    private(set) var refused: [HTTP2Violation?] = []
    /// Octets of body that went out, by the exchange that owns the stream.
    private(set) var taken: [Int: Int] = [:]
    /// Opens each stream's window as octets arrive.
    var consumes = true
    private let ledger: PoolLedger

    init(isServer: Bool, limits: HTTP2Limits) throws {
        pools = MessagePools()
        ledger = PoolLedger(pools)
        session = HTTP2Session(isServer: isServer, limits: limits, pools: pools)
    }

    /// Feeds the peer's octets, in as many turns as they need.
    func receive(_ octets: Octets) -> Bool {
        var rest = octets
        var isGood = true
        repeat {
            isGood = session.receive(&rest) && isGood
            endTurn()
        } while !rest.isEmpty
        return isGood
    }

    /// Goes through the events of a turn, as the gateway's worker does.
    func endTurn() {
        for event in session.events { note(event) }
        for octets in session.taken { taken[octets.owner.exchange ?? -1, default: 0] += octets.count }
        session.endTurn()
    }

    private func note(_ event: StreamEvent) {
        var line = "\(event.kind) \(event.slot)"
        switch event.kind {
        case .headers, .trailers:
            guard let block = session.takeHeaders(event.slot) else {
                noted.append("\(line) lost")
                return
            }
            line += block.fields.map { " \($0.name.string)=\($0.value.string)" }.joined()
            if event.kind == .headers, event.isLast { line += " (end)" }
            pools.letGo(block)
        case .data:
            line += " \(event.data.string)"
            if consumes { session.consume(event.slot, event.data.count) }
        case .closed: line += " \(event.errorCode)"
        case .violation:
            refused.append(event.violation)
            if event.slot >= 0, let block = session.takeHeaders(event.slot) { pools.letGo(block) }
            return
        case .goAway: line = "goAway \(event.errorCode)"
        case .settings: return
        default: break
        }
        noted.append(line)
    }

    /// What was noted since the last call.
    func lines() -> [String] {
        defer { noted = [] }
        return noted
    }

    func block(_ fields: KeyValuePairs<String, String>) -> HeaderBlock {
        let block = pools.takeBlock()
        for (name, value) in fields { append(name, value, to: block) }
        return block
    }

    private func append(_ name: String, _ value: String, to block: HeaderBlock) {
        var (name, value) = (name, value)
        name.withUTF8 { name in
            value.withUTF8 { value in
                unsafe block.append(
                    copying: Octets(UnsafeRawBufferPointer(name)), Octets(UnsafeRawBufferPointer(value)))
            }
        }
    }

    /// Opens a stream with the usual fields.
    func request(
        _ path: String = "/s/M", isEnd: Bool = true, owner: StreamOwner = .exchange(0), keepsBody: Bool = false,
        more: KeyValuePairs<String, String> = [:]
    ) -> Int? {
        let request = block([":method": "POST", ":scheme": "http", ":authority": "a", ":path": path])
        for (name, value) in more { append(name, value, to: request) }
        defer { pools.letGo(request) }
        return session.submitRequest(request, isEnd: isEnd, owner: owner, keepsBody: keepsBody)
    }

    func respond(_ slot: Int, _ fields: KeyValuePairs<String, String> = [":status": "200"], isEnd: Bool = false) {
        let response = block(fields)
        session.submitResponse(slot, response, isEnd: isEnd)
        pools.letGo(response)
    }

    func finish(_ slot: Int, trailers fields: KeyValuePairs<String, String>) {
        let trailers = block(fields)
        session.finish(slot, trailers: trailers)
        pools.letGo(trailers)
    }

    func send(_ slot: Int, _ text: String) {
        var text = text
        text.withUTF8 { unsafe session.send(slot, Octets(UnsafeRawBufferPointer($0))) }
    }

    /// Nothing may be missing in the pools, or be in them twice, once no stream is open.
    func checkPools() { ledger.check() }
}

/// Fills pools with blocks and buffers that it knows, and looks later whether all are back, each once.
final class PoolLedger {
    private let pools: MessagePools
    private var blocks: Set<ObjectIdentifier> = []
    private var buffers: Set<ObjectIdentifier> = []
    private var kept: [AnyObject] = []    // so that no identity is used again
    private static let count = 64
    #if PORTICO_UNPOOLED
        /// Under AddressSanitizer nothing is kept, so that there is nothing to find again.
        private static let isPooled = false
    #else
        private static let isPooled = true
    #endif

    init(_ pools: MessagePools) {
        self.pools = pools
        let blocks = (0..<Self.count).map { _ in pools.takeBlock() }
        let buffers = (0..<Self.count).map { _ in pools.takeBuffer() }
        self.blocks = Set(blocks.map(ObjectIdentifier.init))
        self.buffers = Set(buffers.map(ObjectIdentifier.init))
        kept = blocks + buffers
        for block in blocks { pools.letGo(block) }
        for buffer in buffers { pools.give(buffer) }
    }

    func check() {
        #expect(pools.headerOctets == 0, "header sections are counted that nobody holds")
        guard Self.isPooled else { return }
        let nowBlocks = (0..<Self.count).map { _ in pools.takeBlock() }
        // Large ones are made beside the small ones: there may be more than at first.
        let nowBuffers = (0..<2 * Self.count).map { _ in pools.takeBuffer() }
        #expect(Set(nowBlocks.map(ObjectIdentifier.init)) == blocks, "a block is lost, or was let go twice")
        let present = Set(nowBuffers.map(ObjectIdentifier.init))
        #expect(buffers.isSubset(of: present), "a buffer is lost")
        #expect(present.count == nowBuffers.count, "a buffer was given twice")
        #expect(nowBlocks.allSatisfy(\.isEmpty) && nowBuffers.allSatisfy(\.isEmpty))
        for block in nowBlocks { pools.letGo(block) }
        for buffer in nowBuffers { pools.give(buffer) }
    }
}

/// A client and a server joined in memory.
final class HTTP2Peers {
    let client: HTTP2Side
    let server: HTTP2Side
    private(set) var isBroken = false

    init(server: HTTP2Limits = HTTP2Limits(), client: HTTP2Limits = HTTP2Limits(), settles: Bool = true) throws {
        self.client = try HTTP2Side(isServer: false, limits: client)
        self.server = try HTTP2Side(isServer: true, limits: server)
        if settles { settle() }
    }

    /// Carries what one side has to say to the other, which reads at most `piece` octets at once.
    /// - Returns: how many octets there were.
    @discardableResult
    func carry(_ from: HTTP2Side, _ to: HTTP2Side, piece: Int = .max, limit: Int = .max) -> Int {
        let out = OctetBuffer()
        from.session.flush(into: out, limit: limit)
        from.endTurn()
        let count = out.count
        while !out.isEmpty {
            let step = min(piece, out.count)
            if !to.receive(out.octets.prefix(step)) { isBroken = true }
            out.take(step)
        }
        return count
    }

    func settle(piece: Int = .max) {
        while carry(client, server, piece: piece) + carry(server, client, piece: piece) > 0 {}
    }

    /// For the end of a test: nothing is open, nothing is lost.
    func checkPools() {
        #expect(client.session.openStreams == 0 && server.session.openStreams == 0)
        client.checkPools()
        server.checkPools()
        #expect(!isBroken)
    }
}
