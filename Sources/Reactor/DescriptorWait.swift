internal import CLinux

/// Waits for a single descriptor, on a thread that has no epoll.
package enum DescriptorWait {
    /// Waits until the descriptor takes octets, has failed, or the time is over.
    /// - Parameter milliseconds: -1 waits without end.
    package static func untilWritable(_ descriptor: CInt, milliseconds: Int32) {
        _ = wait(descriptor, POLLOUT, milliseconds)
    }

    /// Waits until the descriptor has something to read, has failed, or the time is over.
    /// - Parameter milliseconds: -1 waits without end.
    /// - Returns: false if the time was over or a signal interrupted the wait.
    package static func untilReadable(_ descriptor: CInt, milliseconds: Int32) -> Bool {
        wait(descriptor, POLLIN, milliseconds)
    }

    private static func wait(_ descriptor: CInt, _ event: Int32, _ milliseconds: Int32) -> Bool {
        var request = pollfd(fd: descriptor, events: Int16(event), revents: 0)
        return unsafe poll(&request, 1, milliseconds) > 0
    }
}
