import HTTP
import Octets
import Testing

/// The other end of a connection that speaks HTTP/2, with a session of our own.
final class HTTP2Peer {
    private let peer: Peer
    private let session: HTTP2Session
    private let pools = MessagePools()
    private let output = OctetBuffer(capacity: 65_536)
    /// Streams that the other side has begun, in order.
    private(set) var streams: [Int] = []
    private var parts: [Int: [String]] = [:]
    /// Streams whose other side has ended, and those that are over with their code.
    private(set) var ended: Set<Int> = []
    private(set) var closed: [Int: UInt32] = [:]
    /// The fields of each request's header section, a line each.
    private(set) var fields: [Int: String] = [:]

    /// - Parameter mostStreams: that it allows at once.
    init(_ peer: Peer, isServer: Bool, mostStreams: UInt32 = HTTP2Limits.usualConcurrentStreams) {
        self.peer = peer
        var limits = isServer ? HTTP2Limits() : .upstream
        limits.concurrentStreams = mostStreams
        session = HTTP2Session(isServer: isServer, limits: limits, pools: pools)
    }

    /// What has come on a stream: its header section, its body and its trailers, as one text each.
    func seen(_ stream: Int) -> [String] { parts[stream] ?? [] }

    private func block(_ fields: [(String, String)]) -> HeaderBlock {
        let block = pools.takeBlock()
        for (name, value) in fields {
            var (name, value) = (name, value)
            name.withUTF8 { name in
                value.withUTF8 { value in
                    unsafe block.append(
                        copying: Octets(UnsafeRawBufferPointer(name)), Octets(UnsafeRawBufferPointer(value)))
                }
            }
        }
        return block
    }

    /// Begins a request whose body follows.
    func request(_ fields: [String: String]) -> Int? {
        let section = block(
            [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")] + fields.map { ($0, $1) })
        let slot = session.submitRequest(section, isEnd: false, owner: .nobody, keepsBody: false)
        pools.letGo(section)
        exchange()
        return slot
    }

    /// Begins an extended CONNECT. Source: RFC 8441 §4.
    func connect(_ protocolName: String, _ fields: [String: String] = [:]) -> Int? {
        let pseudo = [
            (":method", "CONNECT"), (":protocol", protocolName), (":scheme", "http"), (":authority", "a"),
            (":path", "/chat"),
        ]
        let section = block(pseudo + fields.map { ($0, $1) })
        let slot = session.submitRequest(section, isEnd: false, owner: .nobody, keepsBody: false)
        pools.letGo(section)
        exchange()
        return slot
    }

    /// Begins the answer on a stream.
    func respond(_ stream: Int, _ fields: [String: String], isEnd: Bool = false) {
        let rest = fields.filter { $0.key != ":status" }.map { ($0, $1) }
        let section = block([(":status", fields[":status"] ?? "200")] + rest)
        session.submitResponse(stream, section, isEnd: isEnd)
        pools.letGo(section)
        exchange()
    }

    func say(_ stream: Int, _ text: String) {
        var text = text
        text.withUTF8 { octets in unsafe session.send(stream, Octets(UnsafeRawBufferPointer(octets))) }
        exchange()
    }

    func finish(_ stream: Int, trailers: [String: String] = [:]) {
        let section = trailers.isEmpty ? nil : block(trailers.map { ($0, $1) })
        session.finish(stream, trailers: section)
        if let section { pools.letGo(section) }
        exchange()
    }

    /// Answers a stream with a header section.
    func answer(_ stream: Int, _ fields: KeyValuePairs<String, String>, isEnd: Bool = true) {
        answer([stream], fields, isEnd: isEnd)
    }

    /// The same for each of the streams, all at once.
    func answer(_ streams: [Int], _ fields: KeyValuePairs<String, String>, isEnd: Bool = true) {
        for stream in streams {
            let section = block(fields.map { ($0.key, $0.value) })
            session.submitResponse(stream, section, isEnd: isEnd)
            pools.letGo(section)
        }
        exchange()
    }

    func reset(_ stream: Int, code: UInt32) {
        session.reset(stream, code: code)
        exchange()
    }

    /// Takes no new streams: those that are open go on.
    func goAway() {
        session.refuseNewStreams()
        exchange()
    }

    /// Takes what has come, and sends what there is to say.
    func exchange() {
        let octets = peer.octets()
        unsafe octets.withUnsafeBytes { bytes in
            var rest = unsafe Octets(bytes)
            while !rest.isEmpty {
                let before = rest.count
                _ = session.receive(&rest)
                note()
                if rest.count == before { break }
            }
        }
        output.clear(keeping: 65_536)
        session.flush(into: output, limit: 1 << 20)
        peer.send(output.octets)
        note()
    }

    private func note() {
        var index = 0
        while index < session.events.count {
            let event = session.events[index]
            index += 1
            switch event.kind {
            case .headers, .trailers:
                guard let block = session.takeHeaders(event.slot) else { continue }
                add(event.slot, block, isHead: event.kind == .headers)
                pools.letGo(block)
            case .data:
                let text = event.data.string
                let count = parts[event.slot]?.count ?? 0
                if count > 1 {
                    parts[event.slot]?[count - 1] += text
                } else {
                    parts[event.slot, default: []].append(text)
                }
                session.consume(event.slot, event.data.count)
            case .end: ended.insert(event.slot)
            case .closed: closed[event.slot] = event.errorCode
            default: break
            }
        }
        session.endTurn()
    }

    private func add(_ stream: Int, _ block: HeaderBlock, isHead: Bool) {
        let method = block.first(.method)?.string
        if isHead, method != nil {
            streams.append(stream)
            parts[stream] = []    // the place of an earlier stream is used again
            fields[stream] = block.fields.map { "\($0.name.string): \($0.value.string)\n" }.joined()
        }
        let text =
            method.map { "\($0) \(block.first(.path)?.string ?? "")" }
            ?? block.fields.map { "\($0.name.string): \($0.value.string)" }.joined(separator: " ")
        parts[stream, default: []].append(text)
    }
}
