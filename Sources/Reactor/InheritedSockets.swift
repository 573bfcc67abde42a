internal import CLinux

/// Listening sockets that were open when the process began: from the gateway whose place it takes, or from systemd.
/// They are asked for by their address. Source:
/// https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html; docs/operations.md, Upgrade.
///
/// Thread: the main thread. Freed by: `Succession`.
package final class InheritedSockets {
    /// From whom the sockets are.
    package enum Giver: Sendable, Equatable {
        case nobody
        /// systemd keeps them open, too: each is given out as a further descriptor, again if need be.
        case serviceManager
        /// A gateway that is about to go; it has as many sockets of each address as workers, and so many errors in
        /// its definitions, none of which hides behind a last good version.
        case predecessor(workers: Int, errors: Int)
    }

    package let giver: Giver
    private var taken: Set<SocketAddress> = []    // of the service manager's
    private var sockets: [(address: SocketAddress, descriptor: CInt)] = []

    /// The variable by which a gateway tells its successor, "sockets,workers,errors". Descriptor 3 is the way to speak
    /// with it, and the sockets follow.
    static let variable = "PORTICO_SUCCESSION"
    /// The first descriptor that is handed over.
    /// Source: https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html, SD_LISTEN_FDS_START.
    static let firstDescriptor: CInt = 3
    /// More than any limit of open files that is in use.
    static let mostDescriptors = 1 << 20

    package init() { giver = .nobody }

    /// Takes over what the environment tells of, and removes it from there, so that programs which this one runs do not
    /// take it for theirs. Call it before other threads start.
    /// - Throws: when the environment tells of something else than what there is.
    package convenience init(environment: [String: String], process: Int32 = getpid()) throws(SystemError) {
        let (giver, first, count) = try Self.read(environment, process: process)
        for name in [Self.variable, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsafe unsetenv(name) }
        try self.init(giver, numbers: first..<first + CInt(count))
    }

    /// Takes over descriptors, each of which has to be a listening socket.
    init(_ giver: Giver, numbers: some Sequence<CInt>) throws(SystemError) {
        self.giver = giver
        for descriptor in numbers {
            guard portico_adopt(descriptor) == 0 else { throw Self.failure(descriptor, portico_errno()) }
            guard Socket.isListening(descriptor), let address = Socket.localAddress(descriptor) else {
                throw Self.failure(descriptor, ENOTSOCK)
            }
            sockets.append((address, descriptor))
        }
    }

    private static func failure(_ descriptor: CInt, _ code: Int32) -> SystemError {
        SystemError("take over descriptor \(descriptor), which should be a listening stream socket", code: code)
    }

    /// What the variables say; pure.
    static func read(
        _ environment: [String: String], process: Int32
    ) throws(SystemError) -> (Giver, first: CInt, count: Int) {
        if let text = environment[variable] {
            let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
            guard parts.count == 3, let count = parts[0], let workers = parts[1], let errors = parts[2],
                (0...mostDescriptors).contains(count), (1...256).contains(workers), errors >= 0
            else { throw SystemError("understand the variable \(variable)", code: EINVAL) }
            return (.predecessor(workers: workers, errors: errors), firstDescriptor + 1, count)
        }
        // For another process, by the rule of systemd.
        guard let heir = environment["LISTEN_PID"], Int32(heir) == process else { return (.nobody, 0, 0) }
        guard let count = environment["LISTEN_FDS"].flatMap({ Int($0) }), (0...mostDescriptors).contains(count) else {
            throw SystemError("understand the variable LISTEN_FDS", code: EINVAL)
        }
        return (count == 0 ? .nobody : .serviceManager, firstDescriptor, count)
    }

    /// The sockets of an address, in their order; empty: there is none. They are the caller's. Where all addresses of a
    /// port are wanted, those that listen on all of IPv4 do for all of both, and the other way round.
    package func take(_ address: SocketAddress) -> [CInt] {
        let isExact = sockets.contains { $0.address == address }
        let isFound = { (found: SocketAddress) in
            isExact
                ? found == address : found.isEveryAddress && address.isEveryAddress && found.port == address.port
        }
        let found = sockets.filter { isFound($0.address) }.map(\.descriptor)
        if giver == .serviceManager {
            taken.formUnion(sockets.lazy.map(\.address).filter(isFound))
            return found.compactMap { Socket.duplicate($0) }
        }
        sockets.removeAll { isFound($0.address) }
        return found
    }

    /// Whether there is a socket with the port, which another one of this process may share.
    package func hasPort(_ port: UInt16) -> Bool { sockets.contains { $0.address.port == port } }

    /// The addresses that nobody has asked for.
    package var addresses: [String] {
        var seen = taken
        return sockets.compactMap { seen.insert($0.address).inserted ? $0.address.description : nil }
    }

    /// Closes what nobody has asked for. What waits there is served by the gateway that has handed it over.
    package func closeRest() {
        for socket in sockets { Socket.close(socket.descriptor) }
        sockets = []
    }
}

@available(*, unavailable) extension InheritedSockets: Sendable {}
