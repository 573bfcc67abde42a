internal import HTTP
internal import Octets
internal import Reactor
internal import Telemetry

/// A request, as far as the pages use it. It has texts, because it lives longer than the octets that it was read from.
struct AdminRequest: Equatable {
    /// As it came, in capitals as a rule: methods are case-sensitive (RFC 9110 §9.1).
    var method: String
    /// A path, perhaps with a query.
    var target: String
    var authority = ""
    /// What a browser says about the page that sends the request; nil if it says nothing.
    var origin: String?
    var fetchSite: String?    // `sec-fetch-site`, likewise

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

/// Decides which requests may use the admin listener, which has no passwords: those of processes on this machine, but
/// not those of web pages in a browser on it. A foreign page can make the browser send requests here, under a name that
/// it has pointed to this address (DNS rebinding) or without seeing the answer (request forgery).
struct AdminDoor {
    /// The address of the listener; nil allows every request.
    let address: SocketAddress?

    /// The answer that refuses a request; nil if it is allowed.
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

    /// Whether `host` may stand in a request. A foreign page can point a name to this machine, but not an address, so a
    /// listener on all addresses allows any address.
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
