internal import CLinux

/// What two gateways say to each other while one takes the other's place, an octet each:
///
///     successor: ready → predecessor: go → successor: serving → the predecessor drains
package enum SuccessionWord: UInt8, Sendable {
    /// The successor has loaded its configuration and could serve.
    case ready = 114
    /// It may accept connections.
    case go = 103
    /// It accepts connections.
    case serving = 115
}

/// One end of the connection between a gateway and its successor.
///
/// Thread: the main thread. Freed by: `Succession`, or its `SuccessorProcess`.
package final class SuccessionLink {
    /// What has come of the other side.
    package enum Heard: Equatable {
        case word(SuccessionWord)
        case nothing
        /// It has ended, or speaks another language.
        case ended
    }

    private let socket: Descriptor

    init(owning number: CInt) { socket = Descriptor(owning: number) }

    /// The end that a successor has been given.
    /// - Parameter inherited: says whether there is one.
    /// - Throws: when it is none.
    package convenience init?(of inherited: InheritedSockets) throws(SystemError) {
        guard case .predecessor = inherited.giver else { return nil }
        let number = InheritedSockets.firstDescriptor
        guard portico_adopt(number) == 0, Socket.localAddress(number)?.isUnix ?? false, !Socket.isListening(number)
        else { throw SystemError("speak with the gateway before this one", code: ENOTSOCK) }
        self.init(owning: number)
    }

    /// The descriptor to watch for reading.
    package var descriptor: CInt { socket.number }

    /// Says something. Nobody hears it when the other side has ended.
    package func say(_ word: SuccessionWord) {
        var octet = word.rawValue
        _ = unsafe send(socket.number, &octet, 1, Int32(MSG_NOSIGNAL))
    }

    /// Takes the next word of the other side without waiting: `nothing` until there is one, `ended` when none can come.
    package func hear() -> Heard {
        var octet: UInt8 = 0
        let count = unsafe recv(socket.number, &octet, 1, 0)
        if count == 1 { return SuccessionWord(rawValue: octet).map { .word($0) } ?? .ended }
        let code = portico_errno()
        return count < 0 && (code == EAGAIN || code == EINTR) ? .nothing : .ended
    }
}

@available(*, unavailable) extension SuccessionLink: Sendable {}

/// The process that is to take this one's place.
///
/// Thread: the main thread. Freed by: `Succession`, when the process has ended.
package final class SuccessorProcess {
    /// The kernel's number of the process (PID).
    package let identifier: Int32
    package let link: SuccessionLink
    private var ending: String?

    /// Whether this process is the first one of its container or machine, which ends with it.
    package static var isFirstProcess: Bool { getpid() == 1 }

    /// Starts it: the program by the name that this one was started with, as it is now, with the same arguments and
    /// environment.
    /// - Parameters:
    ///   - arguments: of this process, its name included; not empty.
    ///   - sockets: what it gets; they stay the caller's.
    ///   - workers: how many sockets an address has.
    ///   - errors: in the definitions, as many as it may find there too.
    package init(arguments: [String], sockets: [CInt], workers: Int, errors: Int) throws(SystemError) {
        guard let program = arguments.first else { throw SystemError("start without a name", code: EINVAL) }
        var ends: (CInt, CInt) = (-1, -1)
        guard unsafe portico_socket_pair(&ends.0, &ends.1) == 0 else { throw SystemError("open a pair of sockets") }
        link = SuccessionLink(owning: ends.0)
        let theirs = Descriptor(owning: ends.1)
        // Beyond the numbers that they get, so that none is overwritten before it is copied.
        let least = InheritedSockets.firstDescriptor + CInt(sockets.count) + 1
        var copies: [CInt] = []
        defer { for copy in copies { Socket.close(copy) } }
        for descriptor in [theirs.number] + sockets {
            let copy = portico_duplicate(descriptor, least)
            guard copy >= 0 else { throw SystemError("hand over a socket") }
            copies.append(copy)
        }
        var child: pid_t = 0
        let code = Self.spawn(
            program, arguments, Self.environment("\(sockets.count),\(workers),\(errors)"), copies, &child)
        guard code == 0 else { throw SystemError("start", on: program, code: code) }
        identifier = child
    }

    private static func environment(_ facts: String) -> [String] {
        let replaced = [InheritedSockets.variable, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]
        let own = ChildProcess.ownEnvironment().filter { !replaced.contains(String($0.prefix { $0 != "=" })) }
        return own + ["\(InheritedSockets.variable)=\(facts)"]
    }

    private static func spawn(
        _ program: String, _ arguments: [String], _ variables: [String], _ copies: [CInt], _ child: inout pid_t
    ) -> Int32 {
        unsafe ChildProcess.withTexts(arguments) { arguments in
            unsafe ChildProcess.withTexts(variables) { variables in
                unsafe portico_spawn_successor(&child, program, arguments, variables, copies, CInt(copies.count))
            }
        }
    }

    /// How it has ended; nil while it runs.
    package var ended: String? {
        if ending != nil { return ending }
        var status: Int32 = 0
        let found = unsafe waitpid(identifier, &status, WNOHANG)
        guard found != 0 else { return nil }
        let signal = status & 0x7f
        ending =
            found < 0
            ? "it has ended" : signal != 0 ? "signal \(signal) ended it" : "it ended with status \(status >> 8 & 0xff)"
        return ending
    }

    /// Ends it at once. It must not serve anybody.
    package func kill() {
        guard ended == nil else { return }
        _ = CLinux.kill(identifier, SIGKILL)
    }
}

@available(*, unavailable) extension SuccessorProcess: Sendable {}
