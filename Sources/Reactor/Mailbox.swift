internal import CLinux
internal import Octets
internal import Synchronization

/// Sends messages to a thread that waits in epoll: they are queued, and an eventfd wakes the thread. Any thread may
/// post, one thread takes. What bounds the queue of each mailbox stands in docs/limits.md: a queue that could refuse a
/// message would lose it, so it has no limit of its own. A bell, which is a mailbox of messages without content, holds
/// one however often it was rung.
///
/// Source: docs/limits.md, Mailboxes.
///
/// Thread: any posts, one takes. Freed by: the last of those that post and the one that takes.
package final class Mailbox<Message: Sendable>: Sendable {
    private let queue = Lock<[Message]>([])
    private let bell: Descriptor

    /// Makes an empty mailbox; fails when no descriptor is left.
    package init() throws(SystemError) {
        let descriptor = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
        guard descriptor >= 0 else { throw SystemError("open an eventfd") }
        bell = Descriptor(owning: descriptor)
    }

    /// The descriptor that the receiving thread watches for reading.
    package var descriptor: CInt { bell.number }

    /// Queues a message and wakes the receiving thread. Never blocks.
    package func post(_ message: Message) {
        queue.withLock { if MemoryLayout<Message>.size > 0 || $0.isEmpty { $0.append(message) } }
        _ = eventfd_write(bell.number, 1)
    }

    /// Takes all messages, oldest first, and resets the descriptor.
    package func takeAll() -> [Message] {
        var rings: eventfd_t = 0
        _ = unsafe eventfd_read(bell.number, &rings)
        return queue.withLock { queue in
            defer { queue = [] }
            return queue
        }
    }
}
