internal import CLinux

/// A file with the number of the process that serves, for supervisors that follow a service by one. It is replaced as a
/// whole, so that it always names a process; of two gateways that follow each other, the later one's counts.
package struct PIDFile: Sendable {
    private let path: String

    /// - Parameter path: of the file; its folder must be there.
    package init(path: String) { self.path = path }

    /// Writes the number of this process.
    package func write() throws(SystemError) {
        let part = "\(path).\(getpid())"
        let descriptor = unsafe portico_create(part)
        guard descriptor >= 0 else { throw SystemError("write", on: part) }
        let file = Descriptor(owning: descriptor)
        var text = "\(getpid())\n"
        let isWritten = text.withUTF8 { unsafe CLinux.write(file.number, $0.baseAddress, $0.count) == $0.count }
        guard isWritten, unsafe rename(part, path) == 0 else {
            let error = SystemError("write", on: path)
            _ = unsafe unlink(part)
            throw error
        }
    }

    /// Removes the file, unless it is another process's by now.
    package func remove() {
        guard let text = try? FileContents.read(path, limitOctets: 64) else { return }
        if String(decoding: text, as: UTF8.self) == "\(getpid())\n" { _ = unsafe unlink(path) }
    }
}
