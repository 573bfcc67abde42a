package import Patterns

/// A VirtualService (networking.istio.io): the rules of some hosts.
package struct VirtualService: Sendable {
    package let meta: ObjectMeta
    package var hosts: [Located<String>] = []
    /// As written; empty means the reserved gateway `mesh` only.
    package var gateways: [Located<String>] = []
    package var exportTo: [Located<String>] = []
    package var http: [HTTPRoute] = []
    package var tls: [TLSRoute] = []
    package var tcp: [TCPRoute] = []
    /// `spec.tls` and `spec.tcp`, which are not in effect yet: their connections are not served.
    package var closings: [ClosingField] = []
}

/// One entry of `spec.http`.
package struct HTTPRoute: Sendable {
    package let place: SourcePlace
    package let path: FieldPath
    package var name: String?
    /// OR between them; none: the rule matches every request.
    package var matches: [HTTPMatch] = []
    package var destinations: [RouteDestination] = []
    /// Whole request; nil is no limit.
    @Rare package var timeout: Located<Duration>?
    /// The rule has an error: whoever matches is answered 503, so that no later rule takes its traffic.
    package var isBroken = false
    /// What is not in effect yet and must not be skipped: whoever matches is answered 503.
    package var closings: [ClosingField] = []

    @Rare package var redirect: HTTPRedirect?
    @Rare package var directResponse: HTTPDirectResponse?
    @Rare package var delegate: Delegate?
    @Rare package var rewrite: HTTPRewrite?
    @Rare package var retries: HTTPRetries?
    @Rare package var fault: HTTPFault?
    @Rare package var cors: CorsPolicy?
    @Rare package var headers: HeaderOperations?
    package var mirrors: [HTTPMirror] = []

    init(place: SourcePlace, path: FieldPath) {
        self.place = place
        self.path = path
    }
}

/// One entry of `http[].match`: AND between its conditions.
package struct HTTPMatch: Sendable {
    package let place: SourcePlace
    package let path: FieldPath
    /// A condition has an error and is missing here: whatever the others hold for counts as matched, and its
    /// rule is broken.
    package var isFaulty = false
    package var name: String?
    package var uri: StringMatch?
    package var ignoreUriCase = false
    package var scheme: StringMatch?
    package var method: StringMatch?
    package var authority: StringMatch?
    /// In order of the file; names as written.
    package var headers: [NamedMatch] = []
    package var withoutHeaders: [NamedMatch] = []
    package var queryParams: [NamedMatch] = []
    /// Equals the `port.number` of the server.
    package var port: Located<Int>?
    package var sourceLabels: [String: String] = [:]
    package var sourceNamespace: String?
    package var gateways: [Located<String>] = []
    package var statPrefix: String?
}

/// A condition on a header or query parameter.
package struct NamedMatch: Sendable {
    package let place: SourcePlace
    package let path: FieldPath
    package let name: String
    package let match: StringMatch

    /// On a claim of a token, which is not in effect yet: it counts as fulfilled, and its rule is closed.
    package var isOnClaim: Bool { name.hasPrefix("@") }
}

/// A condition on a text.
package enum StringMatch: Sendable {
    case exact(String)
    /// A prefix of characters, not of path segments.
    case prefix(String)
    /// RE2, the whole text.
    case regex(Pattern)
    /// `{}`: there, with any value.
    case present
}

/// One weighted entry of `http[].route`, `tls[].route` or `tcp[].route`.
package struct RouteDestination: Sendable {
    package let place: SourcePlace
    package let path: FieldPath
    package var destination: Destination
    /// nil when not written, which is 0; a single destination takes all, whatever its weight.
    @Rare package var weight: Located<Int>?
    @Rare package var headers: HeaderOperations?
}

/// A service, and perhaps one subset and port of it.
package struct Destination: Sendable {
    package let place: SourcePlace
    package let path: FieldPath
    package var host: Located<String>
    @Rare package var subset: Located<String>?
    @Rare package var port: Located<Int>?
}

/// One entry of `spec.tls`: routes of connections that stay encrypted.
package struct TLSRoute: Sendable {
    package let place: SourcePlace
    package let path: FieldPath
    package var matches: [Match] = []
    package var destinations: [RouteDestination] = []

    package struct Match: Sendable {
        package let place: SourcePlace
        package let path: FieldPath
        package var sniHosts: [Located<String>] = []
        package var port: Located<Int>?
        package var gateways: [Located<String>] = []
    }
}

/// One entry of `spec.tcp`.
package struct TCPRoute: Sendable {
    package let place: SourcePlace
    package let path: FieldPath
    package var matches: [Match] = []
    package var destinations: [RouteDestination] = []

    package struct Match: Sendable {
        package let place: SourcePlace
        package let path: FieldPath
        package var port: Located<Int>?
        package var gateways: [Located<String>] = []
    }
}
