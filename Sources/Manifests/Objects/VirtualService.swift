package import Patterns

/// A VirtualService (networking.istio.io): the rules of its hosts. Source: Istio `VirtualService`.
package struct VirtualService: Sendable {
    package let meta: ObjectMeta
    package var hosts: [Located<String>] = []
    /// The Gateways as they are written; empty means the reserved gateway `mesh` only.
    package var gateways: [Located<String>] = []
    package var exportTo: [Located<String>] = []
    package var http: [HTTPRoute] = []
    package var tls: [TLSRoute] = []
    package var tcp: [TCPRoute] = []
    /// `spec.tls` and `spec.tcp`, if they are written: they are not in effect yet, and their connections are not
    /// served.
    package var closings: [ClosingField] = []
}

/// An entry of `spec.http`. Source: Istio `HTTPRoute`.
package struct HTTPRoute: Sendable {
    package let place: SourcePlace
    package let path: FieldPath
    package var name: String?
    /// The rule matches if one of these does, or if there is none.
    package var matches: [HTTPMatch] = []
    package var destinations: [RouteDestination] = []
    /// The limit for the whole request; nil is none.
    @Rare package var timeout: Located<Duration>?
    /// Whether the rule has an error. Requests that match it are answered 503, so that no later rule gets them.
    package var isBroken = false
    /// Fields that are not in effect yet and close the rule. Requests that match it are answered 503.
    package var closings: [ClosingField] = []

    @Rare package var redirect: HTTPRedirect?
    @Rare package var directResponse: HTTPDirectResponse?
    @Rare package var delegate: Delegate?
    @Rare package var rewrite: HTTPRewrite?
    @Rare package var retries: HTTPRetries?
    @Rare package var fault: HTTPFault?
    @Rare package var cors: CorsPolicy?
    @Rare package var headers: HeaderOperations?
    @Rare package var mirror: HTTPMirror?
    /// The share of requests that `mirror` is for, 0...100; nil if it is not written, which means all.
    @Rare package var mirrorShare: Double?
    package var mirrors: [HTTPMirror] = []
    /// Of a rule that was taken from a delegate; nil in rules as they are read.
    @Rare package var origin: RuleOrigin?

    init(place: SourcePlace, path: FieldPath) {
        self.place = place
        self.path = path
    }
}

/// An entry of `http[].match`, all of whose conditions must hold. Source: Istio `HTTPMatchRequest`.
package struct HTTPMatch: Sendable {
    package let place: SourcePlace
    package let path: FieldPath
    /// Whether a condition has an error and is left out. Requests that fulfil the others then match, and the rule is
    /// broken.
    package var isFaulty = false
    package var name: String?
    package var uri: StringMatch?
    package var ignoreUriCase = false
    package var scheme: StringMatch?
    package var method: StringMatch?
    package var authority: StringMatch?
    /// In the order of the file, with names as they are written.
    package var headers: [NamedMatch] = []
    package var withoutHeaders: [NamedMatch] = []
    package var queryParams: [NamedMatch] = []
    /// The `port.number` that the server must have.
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

    /// Whether it is on a claim of a token, which is not in effect yet. It counts as fulfilled, and its rule is closed.
    package var isOnClaim: Bool { name.hasPrefix("@") }
}

/// A condition on a text. Source: Istio `StringMatch`.
package enum StringMatch: Sendable {
    case exact(String)
    /// A prefix of characters, not of path segments.
    case prefix(String)
    /// The expression must match the whole text.
    case regex(Pattern)
    /// `{}`: any value will do.
    case present
}

/// One weighted entry of `http[].route`, `tls[].route` or `tcp[].route`.
package struct RouteDestination: Sendable {
    package let place: SourcePlace
    package let path: FieldPath
    package var destination: Destination
    /// nil if it is not written, which means 0. A single destination gets all requests, whatever its weight.
    @Rare package var weight: Located<Int>?
    @Rare package var headers: HeaderOperations?
}

/// A service, perhaps with a subset and a port of it. Source: Istio `Destination`.
package struct Destination: Sendable {
    package let place: SourcePlace
    package let path: FieldPath
    package var host: Located<String>
    @Rare package var subset: Located<String>?
    @Rare package var port: Located<Int>?
}

/// An entry of `spec.tls`: routes of connections that are not decrypted.
package struct TLSRoute: Sendable {
    package let place: SourcePlace
    package let path: FieldPath
    package var matches: [Match] = []
    package var destinations: [RouteDestination] = []

    /// An entry of `match`.
    package struct Match: Sendable {
        package let place: SourcePlace
        package let path: FieldPath
        package var sniHosts: [Located<String>] = []
        package var port: Located<Int>?
        package var gateways: [Located<String>] = []
    }
}

/// An entry of `spec.tcp`.
package struct TCPRoute: Sendable {
    package let place: SourcePlace
    package let path: FieldPath
    package var matches: [Match] = []
    package var destinations: [RouteDestination] = []

    /// An entry of `match`.
    package struct Match: Sendable {
        package let place: SourcePlace
        package let path: FieldPath
        package var port: Located<Int>?
        package var gateways: [Located<String>] = []
    }
}
