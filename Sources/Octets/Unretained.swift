/// An object that somebody else keeps alive while it is used: following it counts no references, which on
/// the path of a request cost more than the work itself.
/// Rule for users: only what a worker, a pool or a session owns anyway, and never kept beyond that.
@safe @frozen @usableFromInline package struct Unretained<Object: AnyObject>: BitwiseCopyable {
    @usableFromInline let reference: Unmanaged<Object>

    @inlinable @inline(__always)
    package init(_ object: Object) { unsafe reference = Unmanaged.passUnretained(object) }

    /// Calls `body` with the object.
    @inlinable @inline(__always)
    package func callAsFunction<Result>(_ body: (Object) -> Result) -> Result {
        unsafe reference._withUnsafeGuaranteedRef(body)
    }

    @inlinable @inline(__always)
    package static func === (left: Unretained, right: Object) -> Bool {
        unsafe left.reference.toOpaque() == Unmanaged.passUnretained(right).toOpaque()
    }
}

extension Optional where Wrapped: AnyObject {
    /// The same object, to be used without counting.
    @inlinable @inline(__always)
    package var unretained: Unretained<Wrapped>? {
        if let object = self { Unretained(object) } else { nil }
    }
}
