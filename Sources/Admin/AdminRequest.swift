internal import HTTP
internal import Octets
internal import Reactor
internal import Telemetry

/// A request, as far as the pages look at it. Texts, for it outlives the octets it was read from.
struct AdminRequest {
    var method: String
    /// A path, perhaps with a query.
    var target: String
    var authority = ""
    /// What a browser says of the page that sends the request; nil when it says nothing.
    var origin: String?
    var fetchSite: String?

    init(method: String, target: String) {
        self.method = method
        self.target = target
    }

    init(_ headers: HeaderBlock) {
        method = (headers.first(.method) ?? .empty).string
        target = (headers.first(.path) ?? .empty).string
        authority = (headers.first(.authority) ?? .empty).string.lowercased()
        origin = headers.first(named: "origin")?.string.lowercased()
        fetchSite = headers.first(named: "sec-fetch-site")?.string.lowercased()
    }
}

/// Who may use the admin listener, which has no passwords: programs on this machine, and not the web pages
/// that its browser shows. A page of somebody else can have the browser send requests here, under a name
/// that it had pointed to this address (DNS rebinding) or blindly (request forgery).
struct AdminDoor {
    /// Where the listener is; nil lets everybody in.
    let address: SocketAddress?

    /// Why a request is refused; nil when it is not.
    func refusal(of request: AdminRequest) -> AdminResponse? {
        guard let address else { return nil }
        guard accepts(Self.host(of: request.authority), address) else {
            return AdminResponse(
                421,
                "This listener answers to localhost and its own address only, not to the name in `host`. "
                    + "Write \(address), or use the status listener for health and metrics.")
        }
        let isSame = request.origin.map { $0 == "http://\(request.authority)" } ?? true
        let isOwnPage = request.fetchSite.map { $0 == "same-origin" || $0 == "none" } ?? true
        guard isSame, isOwnPage else {
            return AdminResponse(403, "A web page of another origin may not use this listener.")
        }
        return nil
    }

    /// An address cannot be pointed elsewhere as a name can, so that a listener for all addresses takes any.
    private func accepts(_ host: String, _ own: SocketAddress) -> Bool {
        if host == "localhost" { return true }
        guard let address = SocketAddress(host: host, port: own.port), !host.isEmpty else { return false }
        return address.isLoopback || own.isUnspecified || address == own
    }

    /// The authority without port and brackets.
    private static func host(of authority: String) -> String {
        if authority.hasPrefix("[") { return String(authority.dropFirst().prefix { $0 != "]" }) }
        return String(authority.prefix { $0 != ":" })
    }
}
