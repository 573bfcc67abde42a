internal import CLinux
internal import Octets

/// Runs other programs and takes their output. It blocks: for threads that may wait.
package enum ChildProcess {
    /// Why there is no output.
    package enum Failure: Error, Sendable, Equatable, CustomStringConvertible {
        case notStarted(SystemError)
        case timedOut(milliseconds: Int)
        case tooMuchOutput(limitOctets: Int)
        /// It ended with that status, 1 to 255; or by that signal.
        case failed(status: Int32)
        case killed(signal: Int32)

        package var description: String {
            switch self {
            case .notStarted(let error): "\(error)"
            case .timedOut(let time): "it did not end within \(time / 1000) s, and was stopped"
            case .tooMuchOutput(let limit): "it wrote more than \(limit >> 10) KiB, and was stopped"
            case .failed(let status): "it ended with status \(status)"
            case .killed(let signal): "it was ended by signal \(signal)"
            }
        }
    }

    /// Runs a program to its end. It is the first of a process group of its own, which is ended as a whole if it must
    /// be; its standard input is empty, its standard error is ours, no signal is blocked.
    /// - Parameters:
    ///   - program: a path, or a name that is looked for in `PATH`.
    ///   - environment: variables besides ours, and in the place of those of the same name.
    ///   - milliseconds: the longest time that it may take.
    ///   - limitOctets: the most octets of its standard output.
    /// - Returns: its standard output.
    package static func run(
        _ program: String, _ arguments: [String], environment: [(name: String, value: String)] = [],
        milliseconds: Int, limitOctets: Int
    ) throws(Failure) -> [UInt8] {
        var ends: (CInt, CInt) = (-1, -1)
        guard unsafe portico_pipe(&ends.0, &ends.1) == 0 else { throw .notStarted(SystemError("open a pipe")) }
        let reading = Descriptor(owning: ends.0)
        let writing = Descriptor(owning: ends.1)
        let child = try start(program, arguments, environment, output: writing.number)
        _ = consume writing    // so that the pipe ends with the program
        let deadline = MonotonicTime.now() + .milliseconds(milliseconds)
        do throws(Failure) {
            let output = try read(reading.number, until: deadline, milliseconds, limitOctets)
            try wait(for: child, until: deadline, milliseconds)
            return output
        } catch {
            end(child)
            throw error
        }
    }

    private static func start(
        _ program: String, _ arguments: [String], _ environment: [(name: String, value: String)], output: CInt
    ) throws(Failure) -> pid_t {
        let names = Set(environment.map(\.name))
        let own = ownEnvironment().filter { entry in !names.contains(String(entry.prefix { $0 != "=" })) }
        let variables = own + environment.map { "\($0.name)=\($0.value)" }
        var child: pid_t = 0
        let code = unsafe withTexts([program] + arguments) { arguments in
            unsafe withTexts(variables) { variables in
                unsafe portico_spawn(&child, program, arguments, variables, output)
            }
        }
        guard code == 0 else { throw .notStarted(SystemError("run", on: program, code: code)) }
        return child
    }

    /// The variables of this process, `NAME=value`.
    static func ownEnvironment() -> [String] {
        var found: [String] = []
        var entry = unsafe portico_environment()
        while let place = unsafe entry, let text = unsafe place.pointee {
            unsafe found.append(String(cString: text))
            unsafe entry = place + 1
        }
        return found
    }

    /// Calls `body` with the texts as C wants them: an array of pointers that ends with a null pointer.
    static func withTexts<Result>(
        _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers = unsafe texts.map { unsafe strdup($0) }
        unsafe pointers.append(nil)
        defer { for index in unsafe pointers.indices { unsafe free(pointers[index]) } }
        return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress.unsafelyUnwrapped) }
    }

    private static let octetsPerRead = 16_384

    private static func read(
        _ descriptor: CInt, until deadline: MonotonicTime, _ milliseconds: Int, _ limit: Int
    ) throws(Failure) -> [UInt8] {
        var output: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: octetsPerRead)
        defer { piece.wipe() }
        while true {
            let left = deadline.nanoseconds(since: .now()) / 1_000_000
            guard left > 0 else {
                output.wipe()
                throw .timedOut(milliseconds: milliseconds)
            }
            guard DescriptorWait.untilReadable(descriptor, milliseconds: Int32(clamping: left)) else { continue }
            let count = unsafe CLinux.read(descriptor, &piece, piece.count)
            if count == 0 { return output }
            guard count > 0 else { continue }    // interrupted, or not yet
            unsafe piece.withUnsafeBufferPointer {
                unsafe output.append(wiping: UnsafeBufferPointer(rebasing: $0[..<count]))
            }
            guard output.count <= limit else {
                output.wipe()
                throw .tooMuchOutput(limitOctets: limit)
            }
        }
    }

    private static func wait(for child: pid_t, until deadline: MonotonicTime, _ milliseconds: Int) throws(Failure) {
        var status: Int32 = 0
        while true {
            let ended = unsafe waitpid(child, &status, WNOHANG)
            if ended == child { break }
            guard ended == 0 || portico_errno() == EINTR else { return }    // somebody else has waited for it
            guard MonotonicTime.now() < deadline else { throw .timedOut(milliseconds: milliseconds) }
            _ = poll(nil, 0, 5)
        }
        let signal = status & 0x7f
        guard signal == 0 else { throw .killed(signal: signal) }
        let code = (status >> 8) & 0xff
        guard code == 0 else { throw .failed(status: code) }
    }

    /// Ends the program and all that it has started, unless it has ended.
    private static func end(_ child: pid_t) {
        var status: Int32 = 0
        guard unsafe waitpid(child, &status, WNOHANG) == 0 else { return }
        _ = kill(-child, SIGKILL)
        _ = kill(child, SIGKILL)
        while unsafe waitpid(child, &status, 0) < 0, portico_errno() == EINTR {}
    }
}
