/// `http[].retries` of a VirtualService. Without it, Istio's default is in effect, which is not "never".
package struct HTTPRetries: Sendable {
    package let place: SourcePlace
    package var attempts = 0
    package var perTryTimeout: Duration?
    package var retryOn: [String] = []
    package var retryRemoteLocalities = false
    package var retryIgnorePreviousHosts: Bool?
    package var backoff: Duration?
}

/// `http[].fault` of a VirtualService: what is done to requests on purpose.
package struct HTTPFault: Sendable {
    package let place: SourcePlace
    package var delay: Delay?
    package var abort: Abort?

    /// `fault.delay`.
    package struct Delay: Sendable {
        package var fixed: Duration
        /// 0...100. If it is absent in the file, it is 0, which means never.
        package var percentage: Double
    }

    /// `fault.abort`.
    package struct Abort: Sendable {
        package var httpStatus: Int?
        package var grpcStatus: Int?
        package var percentage: Double
    }
}

/// `mirror`, or an entry of `mirrors`.
package struct HTTPMirror: Sendable {
    package let place: SourcePlace
    package var destination: Destination
    /// 0...100. For `mirror`, `HTTPRoute.mirrorShare` decides, and this is 100.
    package var percentage: Double
}
