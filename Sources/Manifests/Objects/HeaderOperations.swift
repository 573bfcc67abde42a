/// `http[].corsPolicy` of a VirtualService: which pages of other origins browsers let at the answer.
package struct CorsPolicy: Sendable {
    package let place: SourcePlace
    package var allowOrigins: [StringMatch] = []
    package var allowMethods: [String] = []
    package var allowHeaders: [String] = []
    package var exposeHeaders: [String] = []
    package var maxAge: Duration?
    package var allowCredentials: Bool?
    /// Whether it says `unmatchedPreflights: IGNORE`.
    package var ignoresUnmatchedPreflights = false
}

/// `headers` of an HTTP rule, or of one of its destinations.
package struct HeaderOperations: Sendable {
    package let place: SourcePlace
    package var request = Changes()
    package var response = Changes()

    /// `headers.request` or `headers.response`.
    package struct Changes: Sendable {
        package var set: [(name: String, value: String)] = []
        package var add: [(name: String, value: String)] = []
        package var remove: [String] = []
    }
}
