internal import CLinux
package import Octets

/// Standard output and standard error, written at once and unbuffered, also into a pipe. A write
/// blocks while a reader of the pipe is slow: not for a worker's thread.
package enum StandardStream: CInt, Sendable {
    case output = 1
    case error = 2

    /// Writes the text and a line end; a broken stream is not reported, there is nobody to tell.
    package func line(_ text: String) {
        var text = text + "\n"
        text.withUTF8 { unsafe write(Octets(UnsafeRawBufferPointer($0))) }
    }

    package func write(_ octets: Octets) {
        var rest = octets
        while let base = unsafe rest.base, rest.count > 0 {
            let count = unsafe CLinux.write(rawValue, base, rest.count)
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if portico_errno() != EINTR {
                return
            }
        }
    }
}
