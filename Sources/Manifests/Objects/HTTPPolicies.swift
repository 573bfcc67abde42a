// What an HTTP rule may say beside its conditions and destinations. Read and checked now, in
// effect when `NotInEffect` no longer lists the field.
package import Patterns

package struct HTTPRedirect: Sendable {
    package let place: SourcePlace
    package var uri: String?
    package var prefixRewrite: String?
    package var authority: String?
    package var port: Int?
    /// `derivePort: FROM_REQUEST_PORT`.
    package var derivesPortFromRequest = false
    package var scheme: String?
    package var code = 301
}

package struct HTTPDirectResponse: Sendable {
    package let place: SourcePlace
    package var status: Int
    package var body: [UInt8] = []
}

package struct Delegate: Sendable {
    package let place: SourcePlace
    package var name: String
    package var namespace: String?
}

package struct HTTPRewrite: Sendable {
    package let place: SourcePlace
    package var uri: String?
    package var authority: String?
    package var regex: RegexRewrite?

    package struct RegexRewrite: Sendable {
        package var match: Pattern
        package var replacement: String
    }
}

package struct HTTPRetries: Sendable {
    package let place: SourcePlace
    package var attempts = 0
    package var perTryTimeout: Duration?
    package var retryOn: [String] = []
    package var retryRemoteLocalities = false
    package var retryIgnorePreviousHosts: Bool?
    package var backoff: Duration?
}

package struct HTTPFault: Sendable {
    package let place: SourcePlace
    package var delay: Delay?
    package var abort: Abort?

    package struct Delay: Sendable {
        package var fixed: Duration
        /// 0...100; absent in the file is 0: never.
        package var percentage: Double
    }

    package struct Abort: Sendable {
        package var httpStatus: Int?
        package var grpcStatus: Int?
        package var percentage: Double
    }
}

package struct HTTPMirror: Sendable {
    package let place: SourcePlace
    package var destination: Destination
    /// 0...100
    package var percentage: Double
}

package struct CorsPolicy: Sendable {
    package let place: SourcePlace
    package var allowOrigins: [StringMatch] = []
    package var allowMethods: [String] = []
    package var allowHeaders: [String] = []
    package var exposeHeaders: [String] = []
    package var maxAge: Duration?
    package var allowCredentials: Bool?
    /// `unmatchedPreflights: IGNORE`.
    package var ignoresUnmatchedPreflights = false
}

package struct HeaderOperations: Sendable {
    package let place: SourcePlace
    package var request = Changes()
    package var response = Changes()

    package struct Changes: Sendable {
        package var set: [(name: String, value: String)] = []
        package var add: [(name: String, value: String)] = []
        package var remove: [String] = []
    }
}
