internal import Synchronization

/// Ends a load before it is complete, so that a definition that takes minutes does not delay the next change of
/// everyone else. Any thread may end it. Reading and compiling check it between two files, documents, objects and
/// rules; what they then return must not be used.
///
/// Thread: any. Freed by: the last of the control plane and the load.
package final class LoadLimit: Sendable {
    private let over = Atomic(false)

    package init() {}

    /// Whether the load is to end.
    package var isOver: Bool { over.load(ordering: .relaxed) }

    /// Any thread may call it. The load looks at it now and then, and gives up what it has made.
    package func end() { over.store(true, ordering: .relaxed) }
}
