import HTTP
import Octets

/// The parser of HTTP/1.1: the pieces in which octets come make no difference, and what is passed on has one meaning.
enum HTTP1Fuzz {
    static let requests: @Sendable ([UInt8]) -> Void = { octets in
        var supply = Supply(octets)
        let seed = supply.octet()
        let text = supply.everything()
        let trace = checkPieces(text, seed: seed) {
            HTTP1Trace(HTTP1Parser(role: .request(seed & 1 == 0 ? .http : .https), limits: .request))
        }
        checkPassedOn(text, seen: trace)
    }

    static let responses: @Sendable ([UInt8]) -> Void = { octets in
        var supply = Supply(octets)
        let seed = supply.octet()
        let text = supply.everything()
        _ = checkPieces(text, seed: seed) {
            var trace = HTTP1Trace(HTTP1Parser(role: .response, limits: .response))
            trace.methods = seed & 2 == 0 ? ["GET", "HEAD", "POST"] : ["HEAD", "GET", "GET"]
            trace.isUpgrading = seed & 4 != 0
            return trace
        }
    }

    private static func checkPieces(_ text: [UInt8], seed: UInt8, _ make: () -> HTTP1Trace) -> HTTP1Trace {
        var (whole, single, cut) = (make(), make(), make())
        whole.feed(text)
        for octet in text { single.feed([octet]) }
        var pieces = Pieces(seed: seed)
        for piece in pieces.cut(text, most: 16) { cut.feed(piece) }
        demand(whole.seen == single.seen, "octet by octet it is another message: \(whole.seen) \(single.seen)")
        demand(whole.seen == cut.seen, "in pieces it is another message: \(whole.seen) \(cut.seen)")
        return whole
    }

    /// The next server finds no request that the gateway did not find, and no body of another length.
    private static func checkPassedOn(_ text: [UInt8], seen: HTTP1Trace) {
        guard seen.complete.allSatisfy({ $0.method != "CONNECT" }) else { return }
        let written = OctetBuffer()
        for message in seen.complete {
            let one = OctetBuffer()
            guard let framing = message.framing, (try? write(message, framing, to: one)) != nil else { return }
            written.append(one.octets)
        }
        var next = HTTP1Trace(HTTP1Parser(role: .request(.http), limits: .next))
        next.feed(written.octets.array)
        demand(next.failure == nil, "the next server refuses it: \(written.octets.string)")
        demand(next.pending.isEmpty, "the next server waits for more: \(written.octets.string)")
        demand(next.complete.map(\.body) == seen.complete.map(\.body), "bodies differ: \(written.octets.string)")
        demand(next.complete.map(\.method) == seen.complete.map(\.method), "methods differ: \(written.octets.string)")
    }

    private static func write(
        _ message: HTTP1Trace.Message, _ framing: HTTP1Framing, to output: OctetBuffer
    ) throws(HTTP1WriteError) {
        let block = message.block()
        // As the gateway does: an upgrade is asked for with an empty body.
        let framing = framing == .untilClose ? HTTP1Framing.none : framing
        try HTTP1Serializer.writeRequest(block, framing: framing, to: output)
        guard framing == .chunked else {
            if framing != .none { message.body.withOctets { output.append($0) } }
            return
        }
        message.body.withOctets { HTTP1Serializer.writeChunk($0, to: output) }
        HTTP1Serializer.writeLastChunk(to: output)
    }
}

extension HTTP1Limits {
    /// Room for the fields that the gateway adds.
    fileprivate static var next: HTTP1Limits {
        var limits = HTTP1Limits.request
        limits.headOctets += 1024
        limits.fields += 4
        return limits
    }
}

/// What a parser said about some octets.
struct HTTP1Trace {
    /// A message as far as it was read.
    struct Message {
        var method = ""
        var framing: HTTP1Framing?
        var fields: [(name: [UInt8], value: [UInt8])] = []
        var body: [UInt8] = []

        func block() -> HeaderBlock {
            let block = HeaderBlock()
            for field in fields {
                field.name.withOctets { name in field.value.withOctets { block.append(copying: name, $0) } }
            }
            return block
        }
    }

    private(set) var parser: HTTP1Parser
    var methods: [String] = []
    var isUpgrading = false
    /// Everything that was said, in a form that can be compared. Parts of a body are joined.
    private(set) var seen: [String] = []
    private(set) var complete: [Message] = []
    private(set) var pending: [UInt8] = []
    private(set) var failure: HTTP1Error?
    private var message = Message()
    private let headers = HeaderBlock()

    init(_ parser: HTTP1Parser) { self.parser = parser }

    mutating func feed(_ input: some Sequence<UInt8>) {
        pending += input
        while failure == nil, step() {}
    }

    /// False when more octets are needed.
    private mutating func step() -> Bool {
        if parser.isBetweenMessages, !methods.isEmpty {
            let method = methods.removeFirst()
            Array(method.utf8).withOctets { parser.expectResponse(toMethod: $0, upgrading: isUpgrading) }
        }
        let input = pending
        var isStuck = false
        let consumed = input.withOctets { octets in
            do throws(HTTP1Error) {
                let (consumed, event) = try parser.next(octets, headers: headers)
                isStuck = event == .needsMore
                note(event)
                return consumed
            } catch {
                failure = error
                seen.append("error \(error)")
                return 0
            }
        }
        demand(consumed >= 0 && consumed <= pending.count, "took more than was given")
        pending.removeFirst(consumed)
        return !isStuck
    }

    private mutating func note(_ event: HTTP1Event) {
        switch event {
        case .needsMore: return
        case .head(let head):
            message = Message(method: headers.first(.method)?.string ?? "", framing: head.framing)
            message.fields = headers.fields.map { ($0.name.array, $0.value.array) }
            seen.append("head \(head) " + message.fields.map { "\($0.name): \($0.value)" }.joined(separator: ", "))
        case .end:
            complete.append(message)
            seen.append("end")
        case .body(let part):
            demand(!part.isEmpty, "an empty part")
            let isFirst = message.body.isEmpty
            message.body += part.array
            let line = "body \(message.body.count) \(message.body.hashValue)"
            if isFirst { seen.append(line) } else { seen[seen.count - 1] = line }
        }
    }
}
