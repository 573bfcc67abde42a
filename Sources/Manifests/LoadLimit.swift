internal import Synchronization

/// Tells a load to end before it is complete: who wrote a definition that takes minutes must not keep
/// everybody's next change waiting. Any thread may end it; reading and compiling look between two files,
/// documents, objects and rules, and what they return then is of no use.
package final class LoadLimit: Sendable {
    private let over = Atomic(false)

    package init() {}

    package var isOver: Bool { over.load(ordering: .relaxed) }

    package func end() { over.store(true, ordering: .relaxed) }
}
