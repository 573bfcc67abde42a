internal import Octets
internal import Reactor
internal import TLS

/// A connected socket, in clear or with TLS around it. Owns the descriptor.
final class Channel {
    enum Handshake {
        case done, waiting
        case failed(String)
    }

    let descriptor: CInt
    private let tls: TLSSession?

    /// The server's side; `server` nil is clear text. Takes the descriptor, also when it throws.
    init(server: TLSSelector?, descriptor: CInt) throws(TLSError) {
        self.descriptor = descriptor
        do throws(TLSError) {
            tls = if let server { try TLSSession(selector: server, descriptor: descriptor) } else { nil }
        } catch {
            Socket.close(descriptor)
            throw error
        }
    }

    /// The client's side; `client` nil is clear text. Takes the descriptor, also when it throws.
    init(client: TLSClientContext?, serverName: String, descriptor: CInt) throws(TLSError) {
        self.descriptor = descriptor
        do throws(TLSError) {
            tls =
                if let client {
                    try TLSSession(client: client, serverName: serverName, descriptor: descriptor)
                } else {
                    nil
                }
        } catch {
            Socket.close(descriptor)
            throw error
        }
    }

    deinit { Socket.close(descriptor) }

    func handshake() -> Handshake {
        guard let tls else { return .done }
        switch tls.handshake() {
        case .done: return .done
        case .wantsRead, .wantsWrite: return .waiting
        case .closed: return .failed("the peer closed the connection during the handshake")
        case .failed(let error): return .failed("\(error)")
        }
    }

    /// What TLS has agreed on; false in clear text.
    var isHTTP2: Bool { tls?.negotiatedHTTP2 == true }

    func read(into room: UnsafeMutableRawBufferPointer) -> IOResult {
        guard let tls else { return unsafe Socket.read(descriptor, into: room) }
        return Self.result(unsafe tls.read(into: room))
    }

    func write(_ octets: Octets) -> IOResult {
        guard let tls else { return Socket.write(descriptor, octets) }
        return Self.result(unsafe tls.write(octets.buffer))
    }

    /// Says that no more will be sent.
    func finish() {
        tls?.shutdown()
        Socket.finish(descriptor)
    }

    private static func result(_ result: TLSResult) -> IOResult {
        switch result {
        case .octets(let count): .octets(count)
        case .wantsRead, .wantsWrite: .wouldBlock
        case .closed: .closed
        case .failed: .failed(0)
        }
    }
}
