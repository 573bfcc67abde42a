/// A reference that counts nothing, to an object that another one keeps alive. On the path of a request, counting
/// references costs more than the work itself. Use it only for what a worker, a pool or a session owns anyway, and
/// never keep it longer than its owner lives.
@safe @frozen @usableFromInline package struct Unretained<Object: AnyObject>: BitwiseCopyable {
    @usableFromInline let reference: Unmanaged<Object>

    @inlinable @inline(__always)
    package init(_ object: Object) { unsafe reference = Unmanaged.passUnretained(object) }

    /// Calls `body` with the object without counting a reference: its owner keeps it alive for the time of the call.
    @inlinable @inline(__always)
    package func callAsFunction<Result>(_ body: (Object) -> Result) -> Result {
        unsafe reference._withUnsafeGuaranteedRef(body)
    }

    @inlinable @inline(__always)
    package static func === (left: Unretained, right: Object) -> Bool {
        unsafe left.reference.toOpaque() == Unmanaged.passUnretained(right).toOpaque()
    }
}

/// `Sendable` because the object that it refers to is, and the reference never changes.
extension Unretained: @unchecked Sendable where Object: Sendable {}

extension Optional where Wrapped: AnyObject {
    /// The same object, referred to without counting.
    @inlinable @inline(__always)
    package var unretained: Unretained<Wrapped>? {
        if let object = self { Unretained(object) } else { nil }
    }
}
