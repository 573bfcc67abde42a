internal import Octets
internal import Reactor

/// Standard output and standard error, written at once and unbuffered, also into a pipe.
enum StandardStream: CInt {
    case output = 1
    case error = 2

    /// Writes the text and a line end; a broken stream is not reported, there is nobody to tell.
    func line(_ text: String) {
        var text = text + "\n"
        text.withUTF8 { unsafe write(Octets(UnsafeRawBufferPointer($0))) }
    }

    private func write(_ octets: Octets) {
        var rest = octets
        while !rest.isEmpty {
            switch Output.write(rawValue, rest) {
            case .octets(let count): rest = rest.dropFirst(count)
            case .wouldBlock: Output.waitUntilWritable(rawValue, milliseconds: 1000)
            case .closed, .failed: return
            }
        }
    }
}
