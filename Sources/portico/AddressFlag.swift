internal import Reactor

extension FlagValues {
    /// `host:port`, `[v6]:port`; the host may be left out.
    static func address(_ text: String?, _ flag: String) throws(SystemError) -> SocketAddress? {
        guard let text else { return nil }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let host = parts.dropLast().joined(separator: ":")
        let bare = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        guard parts.count > 1, let port = UInt16(parts[parts.count - 1]),
            let address = SocketAddress(host: bare, port: port)
        else { throw SystemError("understand \(flag) \(text) (write address:port, such as 127.0.0.1:15021)", code: 22) }
        return address
    }
}
