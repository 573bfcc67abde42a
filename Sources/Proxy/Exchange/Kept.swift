internal import Octets

/// A reference that keeps its object alive and is followed without counting, for what is followed on every event.
struct Kept<Object: AnyObject> {
    private var object: Object?
    /// The same object; nil when nothing is kept.
    private(set) var unretained: Unretained<Object>?

    /// Keeps that object in the place of the one before; nil keeps nothing.
    @inline(__always)
    mutating func keep(_ next: Object?) {
        unretained = next.unretained
        object = next
    }

    /// Hands the object over and keeps nothing.
    @inline(__always)
    mutating func take() -> Object? {
        unretained = nil
        return object.take()
    }
}
