internal import HTTP
internal import Octets

/// The name and version of the server, for the greeting and for `x-echo-host`.
struct Identity {
    let hostname: String
    let version: String
}

/// Makes a response's body from a request's, piece by piece, without I/O. It collects only what it must, so that memory
/// is bounded whatever the client sends.
///
///     gRPC, echoing:      prefix → passing → (padding) → prefix …
///     gRPC, collecting:   prefix → collecting → replying ⇄ padding → prefix or finished
///     plain:              passingAll → padding → finished
struct Answer {
    enum Outcome: Equatable {
        /// It has no room for more, or needs more of the request.
        case unfinished
        /// The body is complete; the gRPC status is the result.
        case finished(GRPC.Status, String)
    }

    private enum State {
        case prefix
        case passing(left: Int, padding: Int)
        case collecting(left: Int)
        case replying(cursor: Int, copies: Int)
        case padding(left: Int, copies: Int)    // copies that follow
        case passingAll
        case finished(GRPC.Status, String)
    }

    /// The largest message that can be collected, in octets: gRPC's own default for received messages.
    static let messageLimit = 4 << 20

    private let plan: Plan
    private let identity: Identity
    private let collected = OctetBuffer(capacity: 64)    // first the request message, then the reply
    private var replyPadding = 0
    private var passed = 0    // plain: octets of the body so far
    private var state: State

    init(_ plan: Plan, identity: Identity) {
        self.plan = plan
        self.identity = identity
        state = plan.kind == .plain ? .passingAll : .prefix
    }

    /// Takes octets of the request's body from `inbox` and appends the response's to `out`, until that has `limit`
    /// octets or more. It exceeds the limit by the prefix of a message at most.
    mutating func advance(_ inbox: OctetBuffer, isEnded: Bool, into out: OctetBuffer, limit: Int) -> Outcome {
        while out.count < limit {
            let room = limit - out.count
            switch state {
            case .finished(let status, let message): return .finished(status, message)
            case .prefix where inbox.count < 5:
                guard isEnded else { return .unfinished }
                let isWhole = inbox.isEmpty
                inbox.clear()
                end(isWhole ? .ok : .internal, isWhole ? "" : "the request ended inside a message")
            case .prefix: beginMessage(inbox, out)
            case .passingAll where inbox.isEmpty:
                guard isEnded else { return .unfinished }
                state = .padding(left: max(0, plan.size - passed), copies: 0)
            case .passingAll: passed += pass(inbox, out, room)
            case .passing(0, let padding): state = .padding(left: padding, copies: 0)
            case .collecting(0): makeReply()
            case .passing, .collecting:
                guard !inbox.isEmpty || isEnded else { return .unfinished }
                if inbox.isEmpty {
                    end(.internal, "the request ended inside a message")
                } else {
                    take(inbox, out, room)
                }
            case .replying(let cursor, let copies): reply(cursor, copies, out, room)
            case .padding(let left, let copies): pad(left, copies, out, room)
            }
        }
        return .unfinished
    }

    private mutating func end(_ status: GRPC.Status, _ message: String) { state = .finished(status, message) }

    private var collects: Bool { plan.kind == .greeter || plan.copies != nil }

    private mutating func beginMessage(_ inbox: OctetBuffer, _ out: OctetBuffer) {
        let prefix = inbox.octets
        var length = 0
        for index in 1..<5 { length = length << 8 | Int(prefix[index]) }
        let isCompressed = prefix[0] != 0
        inbox.take(5)
        if collects {
            guard length <= Self.messageLimit else { return end(.resourceExhausted, "the message is too long") }
            guard !isCompressed || plan.kind != .greeter else {
                return end(.unimplemented, "compressed messages are echoed only")
            }
            collected.clear(keeping: 4096)
            state = .collecting(left: length)
        } else {
            let padding = max(0, plan.size - length)
            Self.writePrefix(length + padding, isCompressed: isCompressed, to: out)
            state = .passing(left: length, padding: padding)
        }
    }

    private mutating func take(_ inbox: OctetBuffer, _ out: OctetBuffer, _ room: Int) {
        switch state {
        case .passing(let left, let padding):
            state = .passing(left: left - pass(inbox, out, min(room, left)), padding: padding)
        case .collecting(let left):
            state = .collecting(left: left - pass(inbox, collected, left))
        default: break
        }
    }

    private func pass(_ inbox: OctetBuffer, _ target: OctetBuffer, _ most: Int) -> Int {
        let count = min(inbox.count, most)
        target.append(inbox.octets.prefix(count))
        inbox.take(count)
        return count
    }

    private mutating func makeReply() {
        if plan.kind == .greeter {
            guard let name = Protobuf.text(in: collected.octets) else {
                return end(.internal, "the request is not a HelloRequest")
            }
            let greeting = "hostname:\(identity.hostname), in:\(name.string), version:\(identity.version)"
            collected.clear(keeping: 4096)
            Protobuf.appendText(greeting, to: collected)
        }
        replyPadding = max(0, plan.size - collected.count)
        if plan.kind == .greeter, replyPadding > 0 {
            collected.append(0x7a)    // field 15, which HelloReply does not know
            Protobuf.append(varint: UInt64(replyPadding), to: collected)
        }
        startCopy(plan.copies ?? 1)
    }

    private mutating func startCopy(_ copies: Int) {
        if copies > 0 {
            state = .replying(cursor: -1, copies: copies - 1)
        } else if plan.copies != nil {
            end(.ok, "")
        } else {
            state = .prefix
        }
    }

    private mutating func reply(_ cursor: Int, _ copies: Int, _ out: OctetBuffer, _ room: Int) {
        guard cursor >= 0 else {
            Self.writePrefix(collected.count + replyPadding, isCompressed: false, to: out)
            state = .replying(cursor: 0, copies: copies)
            return
        }
        let end = min(collected.count, cursor + room)
        out.append(collected.octets.slice(cursor, end))
        let isWhole = end == collected.count
        state = isWhole ? .padding(left: replyPadding, copies: copies) : .replying(cursor: end, copies: copies)
    }

    private mutating func pad(_ left: Int, _ copies: Int, _ out: OctetBuffer, _ room: Int) {
        let count = min(left, room, Self.zeros.count)
        if count > 0 { Self.zeros.withOctets { out.append($0.prefix(count)) } }
        if left > count {
            state = .padding(left: left - count, copies: copies)
        } else if plan.kind == .plain {
            end(.ok, "")
        } else if collects {
            startCopy(copies)
        } else {
            state = .prefix
        }
    }

    private static let zeros = [UInt8](repeating: 0x30, count: 16_384)

    private static func writePrefix(_ length: Int, isCompressed: Bool, to out: OctetBuffer) {
        out.append(isCompressed ? 1 : 0)
        for shift in stride(from: 24, through: 0, by: -8) {
            out.append(UInt8(truncatingIfNeeded: length >> shift))
        }
    }
}
