internal import Octets
internal import Synchronization

/// A value that one thread replaces now and then; each worker looks once per turn of its loop.
package final class Published<Value: Sendable>: Sendable {
    private let value: Lock<Value>
    private let version = Atomic<UInt64>(1)

    package init(_ first: Value) { value = Lock(first) }

    package func replace(with next: Value) {
        value.withLock { $0 = next }
        version.wrappingAdd(1, ordering: .releasing)
    }

    /// The value when it is newer than `seen`; no lock while nothing changed. `seen` starts at 0.
    package func read(ifNewerThan seen: inout UInt64) -> Value? {
        let current = version.load(ordering: .acquiring)
        guard current != seen else { return nil }
        seen = current
        return value.withLock { $0 }
    }

    package var current: Value { value.withLock { $0 } }
}
