internal import Octets
internal import Reactor
internal import TLS

/// A connected socket, in clear text or with TLS. It owns the descriptor.
///
/// Thread: its owner's. Freed by: its connection.
final class Channel {
    enum Handshake {
        case done, waiting
        case failed(String)
    }

    let descriptor: CInt    // owned; closed in `deinit`
    private let tls: TLSSession?

    /// Makes the server's side; without `server`, it is in clear text. It takes over the descriptor even if it throws.
    init(server: TLSSelector?, descriptor: CInt) throws(TLSError) {
        self.descriptor = descriptor
        do throws(TLSError) {
            tls = if let server { try TLSSession(selector: server, descriptor: descriptor) } else { nil }
        } catch {
            Socket.close(descriptor)
            throw error
        }
    }

    /// Makes the client's side; without `client`, it is in clear text. It takes over the descriptor even if it throws.
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

    /// Continues the TLS handshake; complete at once in clear text.
    func handshake() -> Handshake {
        guard let tls else { return .done }
        switch tls.handshake() {
        case .done: return .done
        case .wantsRead, .wantsWrite: return .waiting
        case .closed: return .failed("the peer closed the connection during the handshake")
        case .failed(let error): return .failed("\(error)")
        }
    }

    /// Whether ALPN selected HTTP/2; false in clear text.
    var isHTTP2: Bool { tls?.negotiatedHTTP2 == true }

    /// Reads plaintext, at most `most` octets, and appends it to `buffer`.
    func read(into buffer: OctetBuffer, most: Int) -> IOResult {
        guard let tls else { return Socket.read(descriptor, into: buffer, most: most) }
        return Self.result(tls.read(into: buffer, most: most))
    }

    /// Writes plaintext; what the socket does not take must be written again.
    func write(_ octets: Octets) -> IOResult {
        guard let tls else { return Socket.write(descriptor, octets) }
        return Self.result(tls.write(octets))
    }

    /// Ends this side of the stream: close_notify with TLS, then FIN.
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
