internal import Manifests
package import Octets

/// An answer that sends the client elsewhere. Source: Istio `HTTPRoute.redirect`; docs/istio.md, Redirects.
package struct Redirect: Sendable {
    /// 301, 302, 303, 307 or 308.
    package let status: Int
    private let scheme: String?
    private let authority: String?
    private let port: Port
    private let path: PathRewrite?

    private enum Port: Sendable { case none, number(Int), ofListener }

    /// What is asked for, and where.
    package struct Request {
        /// Where the client's connection came in: `http` or `https`.
        package let scheme: Octets
        /// Its authority as the client sent it.
        package let authority: Octets
        /// Its path with the query, in its normal form.
        package let path: Octets
        /// The number of the Gateway's server; nil on a listener without one.
        package let port: Int?

        /// Makes a request; the octets are used during `Redirect.write` only.
        package init(scheme: Octets, authority: Octets, path: Octets, port: Int?) {
            self.scheme = scheme
            self.authority = authority
            self.path = path
            self.port = port
        }
    }

    init(_ source: HTTPRedirect, matched: MatchedPath) {
        status = source.code
        scheme = source.scheme
        authority = source.authority
        port = source.port.map { .number($0) } ?? (source.derivesPortFromRequest ? .ofListener : .none)
        path =
            source.uri.map { PathRewrite(allOf: $0) } ?? source.prefixRewrite.map { PathRewrite($0, matched: matched) }
    }

    /// Writes the value of `location`.
    /// - Returns: false if the path cannot be made: see `PathRewrite.Outcome.tooCostly`.
    package func write(for request: Request, to buffer: OctetBuffer) -> Bool {
        let isHTTPS = scheme.map { $0 == "https" } ?? (request.scheme == "https")
        buffer.append(isHTTPS ? "https" as Octets : "http")
        buffer.append("://" as Octets)
        let port = newPort(request)
        if let authority {
            buffer.append(text: authority)
        } else {
            let changesScheme = isHTTPS != (request.scheme == "https")
            buffer.append(Self.host(request, dropsPort: port != nil, changesScheme: changesScheme))
        }
        if let port, port != (isHTTPS ? 443 : 80) {
            buffer.append(UInt8(ascii: ":"))
            buffer.append(decimal: port)
        }
        return writePath(request.path, to: buffer)
    }

    private func newPort(_ request: Request) -> Int? {
        switch port {
        case .none: nil
        case .number(let number): number
        case .ofListener: request.port
        }
    }

    /// The request's host, with its port unless that gives way to another, or to another scheme's default.
    /// Source: envoyproxy/envoy source/common/router/config_impl.cc, processRequestHost.
    private static func host(_ request: Request, dropsPort: Bool, changesScheme: Bool) -> Octets {
        let authority = request.authority
        guard let colon = authority.lastIndex(of: UInt8(ascii: ":")),
            authority.lastIndex(of: UInt8(ascii: "]")) ?? -1 < colon
        else { return authority }
        let port = authority.dropFirst(colon + 1)
        let isDefault = port == (request.scheme == "https" ? "443" as Octets : "80")
        return dropsPort || (changesScheme && isDefault) ? authority.prefix(colon) : authority
    }

    /// The query of the request is kept, unless the new path has its own.
    private func writePath(_ path: Octets, to buffer: OctetBuffer) -> Bool {
        guard let rewrite = self.path else {
            buffer.append(path)
            return true
        }
        let kept = rewrite.hasQuery ? path.prefix(path.firstIndex(of: UInt8(ascii: "?")) ?? path.count) : path
        switch rewrite.write(kept, to: buffer) {
        case .written, .writtenInForm: return true
        case .unchanged:
            buffer.append(path)
            return true
        case .tooCostly: return false
        }
    }
}

extension Redirect: CustomStringConvertible {
    package var description: String {
        var parts: [String] = []
        if let scheme { parts.append("scheme \(scheme)") }
        if let authority { parts.append("authority \(authority)") }
        switch port {
        case .none: break
        case .number(let number): parts.append("port \(number)")
        case .ofListener: parts.append("port of the listener")
        }
        if let path { parts.append(path.description) }
        return "\(status), redirect: " + parts.joined(separator: ", ")
    }
}
