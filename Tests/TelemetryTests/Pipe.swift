import Glibc
import Testing

/// Glibc has it under _GNU_SOURCE only.
private let setPipeSize: CInt = 1031

/// A pipe for tests; what was not closed is closed at the end.
final class Pipe {
    let reading: CInt
    private(set) var writing: CInt

    struct Failure: Error {}

    init() throws {
        var numbers: [CInt] = [0, 0]
        guard unsafe pipe(&numbers) == 0 else { throw Failure() }
        (reading, writing) = (numbers[0], numbers[1])
    }

    deinit {
        closeWriting()
        close(reading)
    }

    func closeWriting() {
        if writing >= 0 { close(writing) }
        writing = -1
    }

    /// Makes room for 1 MiB that nobody reads; a pipe has 64 KiB.
    func widen() { _ = fcntl(writing, setPipeSize, 1 << 20) }

    /// Makes the end to write never wait, as some parents leave it.
    func makeNonBlocking() { _ = fcntl(writing, F_SETFL, fcntl(writing, F_GETFL) | O_NONBLOCK) }

    /// At most `limit` octets; fewer at the end, and when none come for a minute, which is a failure: a test that waits
    /// for ever holds up all others.
    func read(_ limit: Int) -> [UInt8] {
        var octets = [UInt8](repeating: 0, count: limit)
        var count = 0
        while count < limit {
            guard isReadable(within: 60_000) else {
                Issue.record("nobody wrote to the pipe for a minute")
                break
            }
            let taken = unsafe octets.withUnsafeMutableBytes {
                unsafe Glibc.read(reading, $0.baseAddress.unsafelyUnwrapped + count, limit - count)
            }
            if taken <= 0 { break }
            count += taken
        }
        return Array(octets[..<count])
    }

    private func isReadable(within milliseconds: CInt) -> Bool {
        var waiting = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&waiting, 1, milliseconds) > 0
    }

    /// Takes out what is there, and waits for nothing.
    func empty() {
        var octets = [UInt8](repeating: 0, count: 65_536)
        while isReadable(within: 0) {
            let taken = unsafe octets.withUnsafeMutableBytes { unsafe Glibc.read(reading, $0.baseAddress, $0.count) }
            if taken <= 0 { return }
        }
    }

    func readToEnd() -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let piece = read(65_536)
            all += piece
            if piece.count < 65_536 { return all }
        }
    }
}
