internal import HTTP
internal import Octets
internal import Reactor

/// One request and its answer.
///
/// Thread: the server's. Freed by: its speaker.
final class Exchange {
    /// It waits for its `echo-sleep`, it answers, or its answer is complete.
    enum Phase { case sleeping, answering, done }

    let plan: Plan
    let slot: Int    // the HTTP/2 stream's slot; 0 in HTTP/1.1
    let headers: HeaderBlock    // held until the answer begins
    let path: String
    let inbox: OctetBuffer    // the part of the request's body that was not read yet; bounded by flow control
    /// What is answered: the plan of the request makes it.
    var answer: Answer
    /// How far the answer is.
    var phase = Phase.sleeping
    /// Whether the whole request has come.
    var isRequestEnded = false
    var alarm = Alarm.none
    unowned let connection: Connection

    init(_ headers: HeaderBlock, slot: Int, connection: Connection) {
        plan = Plan(headers)
        self.slot = slot
        self.headers = headers
        path = headers.first(.path)?.string ?? ""
        inbox = connection.server.pools.takeBuffer()
        answer = Answer(plan, identity: connection.identity)
        self.connection = connection
    }

    /// Makes the response's header section and, for a plain request, the first octets of its body: the request as text.
    func makeHead(_ block: HeaderBlock, preamble: OctetBuffer) {
        if plan.kind == .plain {
            block.append(":status", text: String(plan.problem == nil ? plan.status ?? 200 : 400))
            block.append("content-type", text: "text/plain; charset=utf-8")
            writePreamble(to: preamble)
        } else {
            block.append(":status", text: "200")
            block.append("content-type", text: "application/grpc")
            if let encoding = headers.first(named: "grpc-encoding") { block.append("grpc-encoding", encoding) }
        }
        block.append("x-echo-host", text: connection.identity.hostname)
        block.append("x-echo-version", text: connection.identity.version)
        if plan.returnsHeaders { returnHeaders(in: block) }
    }

    /// Appends `grpc-status` and `grpc-message`, to trailers or to a trailers-only answer.
    static func append(_ status: Int, _ message: String, to block: HeaderBlock) {
        block.append("grpc-status", text: String(status))
        guard !message.isEmpty else { return }
        let escaped = OctetBuffer(capacity: 64)
        message.withOctets { GRPC.writeMessage($0, to: escaped) }
        block.append("grpc-message", escaped.octets)
    }

    private func returnHeaders(in block: HeaderBlock) {
        let name = OctetBuffer(capacity: 64)
        for field in headers.fields where !field.name.hasPrefix("echo-") {
            name.clear()
            name.append(text: "echo-")
            name.append(field.name.hasPrefix(":") ? field.name.dropFirst(1) : field.name)
            block.append(copying: name.octets, field.value)
        }
    }

    private func writePreamble(to out: OctetBuffer) {
        if let problem = plan.problem { return out.append(text: problem + "\n") }
        out.append(headers.first(.method) ?? .empty)
        out.append(UInt8(ascii: " "))
        out.append(headers.first(.path) ?? .empty)
        out.append(UInt8(ascii: "\n"))
        for field in headers.fields where field.known != .method && field.known != .path {
            let name = field.known == .authority ? "host" : field.name
            out.append(name.hasPrefix(":") ? name.dropFirst(1) : name)
            out.append(text: ": ")
            out.append(field.value)
            out.append(UInt8(ascii: "\n"))
        }
        out.append(UInt8(ascii: "\n"))
    }
}

extension HeaderBlock {
    /// Appends a field with a text.
    func append(_ name: StaticString, text: String) {
        text.withOctets { append(name, $0) }
    }
}
