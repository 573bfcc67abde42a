internal import CLinux
internal import Octets
internal import Synchronization

/// The door into a thread that waits in epoll: messages are queued, an eventfd wakes it.
/// Any thread posts, one thread takes. The control plane posts few and small messages, so the queue
/// has no limit of its own.
package final class Mailbox<Message: Sendable>: Sendable {
    private let queue = Lock<[Message]>([])
    private let bell: Descriptor

    package init() throws(SystemError) {
        let number = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
        guard number >= 0 else { throw SystemError("open an eventfd") }
        bell = Descriptor(owning: number)
    }

    /// To be watched for reading by the thread that takes.
    package var descriptor: CInt { bell.number }

    package func post(_ message: Message) {
        queue.withLock { $0.append(message) }
        _ = eventfd_write(bell.number, 1)
    }

    /// All messages, oldest first; silences the bell.
    package func takeAll() -> [Message] {
        var rings: eventfd_t = 0
        _ = unsafe eventfd_read(bell.number, &rings)
        return queue.withLock { queue in
            defer { queue = [] }
            return queue
        }
    }
}
