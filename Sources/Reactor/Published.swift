internal import Octets
internal import Synchronization

/// A value that one thread replaces now and then, and that each worker checks once per turn of its loop.
///
/// Thread: one replaces, any reads. Freed by: the last of the control plane and the workers.
package final class Published<Value: Sendable>: Sendable {
    private let value: Lock<Value>
    private let version = Atomic<UInt64>(1)

    /// Publishes a first value, which readers have not seen either.
    package init(_ first: Value) { value = Lock(first) }

    /// Publishes a new value. For one thread only.
    package func replace(with next: Value) {
        value.withLock { $0 = next }
        version.wrappingAdd(1, ordering: .releasing)
    }

    /// The value if it is newer than version `seen`, which is then updated; nil otherwise, without taking the lock.
    /// `seen` starts at 0.
    package func read(ifNewerThan seen: inout UInt64) -> Value? {
        let current = version.load(ordering: .acquiring)
        guard current != seen else { return nil }
        seen = current
        return value.withLock { $0 }
    }

    /// The newest value; takes the lock.
    package var current: Value { value.withLock { $0 } }
}
