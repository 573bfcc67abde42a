internal import CLinux

/// What one watched descriptor is ready for.
package struct Readiness {
    /// As `watch` was given it: the caller's own number of what it watches.
    package let token: UInt64
    /// Whether a read returns at once, with octets, the end or an error.
    package let isReadable: Bool
    /// Whether a write returns at once.
    package let isWritable: Bool
    /// Whether the peer has ended its side or the connection is broken. The rest must be read now.
    package let isHungUp: Bool
}

/// Waits in epoll. Connections are watched edge-triggered and in both directions from the start, so that their lives
/// need no further system call: after `wouldBlock`, the next event says that it is worth trying again.
///
/// Thread: its owner's. Freed by: the loop that made it.
@safe package final class Poller {
    private let descriptor: Descriptor
    private let events: UnsafeMutablePointer<epoll_event>    // owned; `eventsPerTurn` of them
    static let eventsPerTurn = 256

    /// Opens an epoll descriptor; fails when no descriptor is left.
    package init() throws(SystemError) {
        let opened = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard opened >= 0 else { throw SystemError("open epoll") }
        descriptor = Descriptor(owning: opened)
        unsafe events = .allocate(capacity: Self.eventsPerTurn)
    }

    deinit { unsafe events.deallocate() }

    /// Watches a connection: edge-triggered, in both directions.
    package func watch(_ socket: CInt, token: UInt64) throws(SystemError) {
        try add(socket, EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue, token)
    }

    /// Watches a listener, an eventfd or a signalfd: level-triggered, for reading.
    package func watchReadable(_ socket: CInt, token: UInt64) throws(SystemError) {
        try add(socket, EPOLLIN.rawValue, token)
    }

    /// Stops watching a descriptor.
    package func forget(_ socket: CInt) {
        _ = epoll_ctl(descriptor.number, EPOLL_CTL_DEL, socket, nil)
    }

    /// Waits until a watched descriptor is ready.
    /// - Parameter milliseconds: -1 waits without end.
    /// - Returns: how many events `subscript` has; 0 when the time was over.
    package func wait(milliseconds: Int32) -> Int {
        let count = unsafe epoll_wait(descriptor.number, events, Int32(Self.eventsPerTurn), milliseconds)
        return count > 0 ? Int(count) : 0
    }

    /// An event of the last wait; traps if `index` is out of range.
    package subscript(index: Int) -> Readiness {
        precondition(index >= 0 && index < Self.eventsPerTurn)
        let event = unsafe events[index]
        let bits = unsafe event.events
        return unsafe Readiness(
            token: event.data.u64,
            isReadable: bits & (EPOLLIN.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue | EPOLLRDHUP.rawValue) != 0,
            isWritable: bits & (EPOLLOUT.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0,
            isHungUp: bits & (EPOLLHUP.rawValue | EPOLLERR.rawValue | EPOLLRDHUP.rawValue) != 0)
    }

    private func add(_ socket: CInt, _ bits: UInt32, _ token: UInt64) throws(SystemError) {
        var event = unsafe epoll_event(events: bits, data: epoll_data_t(u64: token))
        guard unsafe epoll_ctl(descriptor.number, EPOLL_CTL_ADD, socket, &event) == 0 else {
            throw SystemError("watch a descriptor")
        }
    }
}
