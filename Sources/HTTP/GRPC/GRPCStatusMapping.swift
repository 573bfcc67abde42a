extension GRPC {
    /// The HTTP status that a gRPC status stands for, where one is needed: for what watches endpoints. A number that
    /// gRPC does not define is 500. Source: envoyproxy/envoy source/common/grpc/status.cc (grpcToHttpStatus).
    package static func httpStatus(_ number: Int) -> Int {
        guard let status = UInt8(exactly: number).flatMap(Status.init) else { return 500 }
        return switch status {
        case .ok: 200
        case .cancelled: 499
        case .invalidArgument, .failedPrecondition, .outOfRange: 400
        case .deadlineExceeded: 504
        case .notFound: 404
        case .alreadyExists, .aborted: 409
        case .permissionDenied: 403
        case .unauthenticated: 401
        case .resourceExhausted: 429
        case .unimplemented: 501
        case .unavailable: 503
        case .unknown, .internal, .dataLoss: 500
        }
    }
}
