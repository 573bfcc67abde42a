internal import Octets
internal import Reactor

/// One request to the admin interface of a running gateway.
struct AdminCall {
    /// Why there is no page: one sentence.
    struct Failure: Error {
        let text: String
    }

    private let address: SocketAddress
    /// A page is no longer than this, in octets.
    private static let mostOctets = 16 << 20
    private static let octetsPerRead = 65_536
    /// How long the whole call may take.
    private static let limit = Duration.seconds(10)

    init(_ address: SocketAddress) { self.address = address }

    /// The body of a page.
    /// - Throws: when nobody answers, or not with 200.
    func get(_ page: String) throws(Failure) -> String {
        let answer: [UInt8]
        do throws(SystemError) {
            let socket = Descriptor(owning: try Socket.connect(address))
            answer = try ask("GET \(page) HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", socket.number)
        } catch {
            throw Failure(text: "\(error); name the gateway's --admin address with --admin")
        }
        let end = zip(answer.indices, answer.indices.dropFirst(3)).first { Array(answer[$0...$1]) == Self.emptyLine }
        guard let end, answer.starts(with: "HTTP/1.1 ".utf8) else {
            throw Failure(text: "what answers at \(address) is no admin interface")
        }
        let status = String(decoding: answer[9..<min(12, end.0)], as: UTF8.self)
        guard status == "200" else {
            throw Failure(text: "the admin interface at \(address) answers \(page) with the status \(status)")
        }
        return String(decoding: answer[(end.1 + 1)...], as: UTF8.self)
    }

    private static let emptyLine = Array("\r\n\r\n".utf8)

    /// Sends the request when the connection is there, and reads until the gateway closes.
    private func ask(_ request: String, _ socket: CInt) throws(SystemError) -> [UInt8] {
        let poller = try Poller()
        try poller.watch(socket, token: 0)
        let end = MonotonicTime.now() + Self.limit
        var (answer, isSent) = ([UInt8](), false)
        while true {
            let left = end.duration(since: .now()).components
            guard left.seconds > 0 || left.attoseconds > 0 else {
                throw SystemError("ask", on: "\(address)", code: 110)
            }
            guard poller.wait(milliseconds: Int32(left.seconds * 1000) + 1) > 0 else { continue }
            if let code = Socket.connectError(socket) { throw SystemError("ask", on: "\(address)", code: code) }
            if !isSent, poller[0].isWritable {
                isSent = true
                try send(request, socket)
            }
            if try !read(into: &answer, socket) { return answer }
        }
    }

    private func send(_ request: String, _ socket: CInt) throws(SystemError) {
        let result = request.withOctets { Socket.write(socket, $0) }
        if case .failed(let code) = result { throw SystemError("ask", on: "\(address)", code: code) }
    }

    /// Reads what there is.
    /// - Returns: false at the end.
    private func read(into answer: inout [UInt8], _ socket: CInt) throws(SystemError) -> Bool {
        let part = OctetBuffer(capacity: Self.octetsPerRead)
        while answer.count < Self.mostOctets {
            part.clear()
            switch Socket.read(socket, into: part, most: Self.octetsPerRead) {
            case .octets: answer.append(part.octets)
            case .wouldBlock: return true
            case .closed: return false
            case .failed(let code): throw SystemError("ask", on: "\(address)", code: code)
            }
        }
        return false
    }
}
