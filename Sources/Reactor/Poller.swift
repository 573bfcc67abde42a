internal import CLinux

/// What a descriptor is ready for, and whose it is.
package struct Readiness {
    package let token: UInt64
    package let isReadable: Bool
    package let isWritable: Bool
    /// The peer has ended its side, or the connection is broken: read until the end now.
    package let isHungUp: Bool
}

/// epoll. Connections are watched edge-triggered and for both directions from the start, so that no
/// further system call is needed in their life: who gets `wouldBlock` is told when that has changed.
/// Its owner's thread only.
@safe package final class Poller {
    private let descriptor: Descriptor
    private let events: UnsafeMutablePointer<epoll_event>    // owned; `batch` of them
    private static let batch = 256    // events per turn

    package init() throws(SystemError) {
        let number = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard number >= 0 else { throw SystemError("open epoll") }
        descriptor = Descriptor(owning: number)
        unsafe events = .allocate(capacity: Self.batch)
    }

    deinit { unsafe events.deallocate() }

    /// Watches a connection, edge-triggered, both directions.
    package func watch(_ number: CInt, token: UInt64) throws(SystemError) {
        try add(number, EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue, token)
    }

    /// Watches a listener, an eventfd or a signalfd: level-triggered, for reading.
    package func watchReadable(_ number: CInt, token: UInt64) throws(SystemError) {
        try add(number, EPOLLIN.rawValue, token)
    }

    package func forget(_ number: CInt) {
        _ = epoll_ctl(descriptor.number, EPOLL_CTL_DEL, number, nil)
    }

    /// Waits for readiness.
    /// - Parameter milliseconds: -1 waits without end.
    /// - Returns: how many `subscript` has; 0 when time is over.
    package func wait(milliseconds: Int32) -> Int {
        let count = unsafe epoll_wait(descriptor.number, events, Int32(Self.batch), milliseconds)
        return count > 0 ? Int(count) : 0
    }

    package subscript(index: Int) -> Readiness {
        precondition(index >= 0 && index < Self.batch)
        let event = unsafe events[index]
        let bits = unsafe event.events
        return unsafe Readiness(
            token: event.data.u64,
            isReadable: bits & (EPOLLIN.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue | EPOLLRDHUP.rawValue) != 0,
            isWritable: bits & (EPOLLOUT.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0,
            isHungUp: bits & (EPOLLHUP.rawValue | EPOLLERR.rawValue | EPOLLRDHUP.rawValue) != 0)
    }

    private func add(_ number: CInt, _ bits: UInt32, _ token: UInt64) throws(SystemError) {
        var event = unsafe epoll_event(events: bits, data: epoll_data_t(u64: token))
        guard unsafe epoll_ctl(descriptor.number, EPOLL_CTL_ADD, number, &event) == 0 else {
            throw SystemError("watch a descriptor")
        }
    }
}
