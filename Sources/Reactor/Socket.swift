internal import CLinux
package import Octets

/// The system calls on stream sockets. All sockets are non-blocking and are closed on exec.
package enum Socket {
    private static let streamType = Int32(
        SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)

    /// Which other sockets may listen on the same address.
    package enum Sharing {
        /// Those of the same user that ask for it, too (SO_REUSEPORT): one per worker.
        case amongWorkers
        /// None: opening a second one fails.
        case none
    }

    /// Opens a socket that listens, is non-blocking, and may take an address whose last connections are not over yet.
    package static func listen(
        _ address: SocketAddress, backlog: Int32 = 4096, sharing: Sharing = .amongWorkers
    ) throws(SystemError) -> Descriptor {
        let descriptor = socket(address.domain, streamType, 0)
        guard descriptor >= 0 else { throw SystemError("open a socket for", on: address.description) }
        let owned = Descriptor(owning: descriptor)
        set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        if !address.isUnix, sharing == .amongWorkers { set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) }
        if address.isIPv6 { set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0) }
        if !bind(descriptor, address) {
            let error = SystemError("listen on", on: address.description)
            guard error.code == EADDRINUSE, removeDeadSocket(address), bind(descriptor, address) else { throw error }
        }
        guard CLinux.listen(descriptor, backlog) == 0 else { throw SystemError("listen on", on: address.description) }
        return owned
    }

    private static func bind(_ descriptor: CInt, _ address: SocketAddress) -> Bool {
        unsafe address.withKernelForm { unsafe portico_bind(descriptor, $0, $1) } == 0
    }

    /// The file of a Unix socket outlives its process. Removes it if it is a socket on which no process listens.
    /// - Returns: whether the file is gone.
    private static func removeDeadSocket(_ address: SocketAddress) -> Bool {
        guard let path = address.unixPath, !path.hasPrefix("@") else { return false }
        var facts = stat()
        guard unsafe lstat(path, &facts) == 0, facts.st_mode & UInt32(S_IFMT) == UInt32(S_IFSOCK) else { return false }
        do throws(SystemError) {
            close(try connect(address))
            return false
        } catch {
            return unsafe error.isRefused && unlink(path) == 0
        }
    }

    /// Accepts one waiting connection; nil if none is waiting.
    package static func accept(_ listener: CInt) throws(SystemError) -> (descriptor: CInt, peer: SocketAddress?)? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let descriptor = unsafe portico_accept(listener, &storage, &length)
        if descriptor >= 0 {
            set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
            return (descriptor, SocketAddress(storage, length: length))
        }
        switch portico_errno() {
        // The problem of one waiting connection only: the next call returns the next one.
        case EAGAIN, EINTR, ECONNABORTED, EPROTO, ENETDOWN, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT: return nil
        default: throw SystemError("accept a connection")
        }
    }

    /// Starts to connect. The connection is established, or has failed, when the socket becomes writable.
    package static func connect(_ address: SocketAddress) throws(SystemError) -> CInt {
        let descriptor = socket(address.domain, streamType, 0)
        guard descriptor >= 0 else { throw SystemError("open a socket for", on: address.description) }
        if !address.isUnix { set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }
        let result = unsafe address.withKernelForm { unsafe portico_connect(descriptor, $0, $1) }
        if result == 0 || portico_errno() == EINPROGRESS { return descriptor }
        let error = SystemError("connect to", on: address.description)
        _ = CLinux.close(descriptor)
        guard error.code == EADDRNOTAVAIL, !address.isUnix, !hasSource(for: address) else { throw error }
        throw SystemError("connect to", on: address.description, code: ENETUNREACH)
    }

    /// Whether this machine has an address from which to reach another one. Where it has none, as where it has no IPv6,
    /// the kernel says of a connection the same as where no port is left.
    package static func hasSource(for address: SocketAddress) -> Bool {
        let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.domain, type, 0)
        guard descriptor >= 0 else { return true }
        defer { _ = CLinux.close(descriptor) }
        return unsafe address.withKernelForm { unsafe portico_connect(descriptor, $0, $1) } == 0
            || portico_errno() != EADDRNOTAVAIL
    }

    /// Has the kernel ask a silent peer whether it is there, and end the connection when it does not answer.
    /// A parameter that is nil stays as the system has it.
    /// - Parameters:
    ///   - time: seconds of silence until the first probe, 1 or more.
    ///   - interval: seconds between probes, 1 or more.
    ///   - probes: unanswered ones until the end, 1 or more.
    package static func keepAlive(_ descriptor: CInt, after time: Int?, every interval: Int?, probes: Int?) {
        set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
        let level = Int32(IPPROTO_TCP)
        // The kernel refuses more than these, and the option would then have no effect.
        if let time { set(descriptor, level, TCP_KEEPIDLE, Int32(clamping: min(time, 32_767))) }
        if let interval { set(descriptor, level, TCP_KEEPINTVL, Int32(clamping: min(interval, 32_767))) }
        if let probes { set(descriptor, level, TCP_KEEPCNT, Int32(clamping: min(probes, 127))) }
    }

    /// Whether the kernel asks a silent peer, and when: seconds until the first probe, seconds between two, probes.
    package static func keepAlive(of descriptor: CInt) -> (time: Int, interval: Int, probes: Int)? {
        let level = Int32(IPPROTO_TCP)
        guard get(descriptor, SOL_SOCKET, SO_KEEPALIVE) == 1 else { return nil }
        return (
            get(descriptor, level, TCP_KEEPIDLE), get(descriptor, level, TCP_KEEPINTVL),
            get(descriptor, level, TCP_KEEPCNT)
        )
    }

    /// Whether a descriptor, of whatever kind, is a stream socket on which connections are accepted.
    package static func isListening(_ descriptor: CInt) -> Bool {
        get(descriptor, SOL_SOCKET, SO_TYPE) == Int(SOCK_STREAM.rawValue)
            && get(descriptor, SOL_SOCKET, SO_ACCEPTCONN) == 1
    }

    /// A further descriptor of the socket, which the caller closes; nil when there is none left.
    package static func duplicate(_ descriptor: CInt) -> CInt? {
        let copy = portico_duplicate(descriptor, 0)
        return copy >= 0 ? copy : nil
    }

    private static func get(_ descriptor: CInt, _ level: Int32, _ option: Int32) -> Int {
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        return unsafe getsockopt(descriptor, level, option, &value, &length) == 0 ? Int(value) : -1
    }

    /// The errno of a connect that was in progress; nil if it succeeded.
    package static func connectError(_ descriptor: CInt) -> Int32? {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        let result = unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
        return result != 0 ? portico_errno() : code == 0 ? nil : code
    }

    /// Reads the octets that there are, at most `most`, and appends them to `buffer`.
    package static func read(_ descriptor: CInt, into buffer: OctetBuffer, most: Int) -> IOResult {
        receive(descriptor, into: buffer, most: most, flags: 0)
    }

    private static func receive(_ descriptor: CInt, into buffer: OctetBuffer, most: Int, flags: CInt) -> IOResult {
        let count = unsafe recv(descriptor, buffer.room(most).baseAddress, most, flags)
        guard count > 0 else { return count == 0 ? .closed : failure() }
        buffer.commit(count)
        return .octets(count)
    }

    /// Reads and throws away the octets that there are, at most `most`. TCP copies none of them; the others write them
    /// over `scratch`, which stays as long as it is.
    package static func discard(_ descriptor: CInt, scratch: OctetBuffer, most: Int) -> IOResult {
        let count = unsafe recv(descriptor, scratch.room(most).baseAddress, most, Int32(MSG_TRUNC))
        return count > 0 ? .octets(count) : count == 0 ? .closed : failure()
    }

    /// Whether the peer has ended its side, or the connection is broken, even if there are octets to be read before.
    package static func hasPeerEnded(_ descriptor: CInt) -> Bool {
        // poll and epoll have the same bits.
        var request = pollfd(fd: descriptor, events: Int16(truncatingIfNeeded: EPOLLRDHUP.rawValue), revents: 0)
        return unsafe poll(&request, 1, 0) > 0
    }

    /// The first octet that can be read, which stays there; nil if there is none.
    package static func peek(_ descriptor: CInt) -> UInt8? {
        var octet: UInt8 = 0
        return unsafe recv(descriptor, &octet, 1, Int32(MSG_PEEK)) == 1 ? octet : nil
    }

    /// Appends to `buffer` a copy of the octets that can be read, at most `most`; they stay there.
    package static func peek(_ descriptor: CInt, into buffer: OctetBuffer, most: Int) -> IOResult {
        receive(descriptor, into: buffer, most: most, flags: Int32(MSG_PEEK))
    }

    /// Writes as many octets as the kernel takes at once.
    package static func write(_ descriptor: CInt, _ octets: Octets) -> IOResult {
        let count = unsafe send(descriptor, octets.base, octets.count, Int32(MSG_NOSIGNAL))
        return count >= 0 ? .octets(count) : failure()
    }

    /// Gives the number back to the kernel, which may use it at once for another file. Failures have no consequence.
    package static func close(_ descriptor: CInt) { _ = CLinux.close(descriptor) }
    /// Ends our side of the stream (FIN); the peer may still send.
    package static func finish(_ descriptor: CInt) { _ = shutdown(descriptor, Int32(SHUT_WR)) }
    /// Makes the following `close` reset the connection (RST) and drop what was not sent yet.
    package static func abort(_ descriptor: CInt) {
        var linger = linger(l_onoff: 1, l_linger: 0)
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
    }

    /// The address that the socket is bound to; nil if the kernel has none.
    package static func localAddress(_ descriptor: CInt) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = unsafe portico_local_address(descriptor, &storage, &length)
        return result == 0 ? SocketAddress(storage, length: length) : nil
    }

    private static func set(_ descriptor: CInt, _ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        _ = unsafe setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func failure() -> IOResult {
        let code = portico_errno()
        return code == EAGAIN || code == EINTR ? .wouldBlock : .failed(code)
    }
}
