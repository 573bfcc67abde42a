internal import Octets
internal import Reactor

/// Writes standard output and standard error at once and without a buffer, also into a pipe.
enum StandardStream: CInt {
    case output = 1
    case error = 2

    /// Writes a text and a line end. A broken stream is not reported, because there is no place to report it.
    func line(_ text: String) {
        (text + "\n").withOctets { write($0) }
    }

    private func write(_ octets: Octets) {
        var rest = octets
        while !rest.isEmpty {
            switch Output.write(rawValue, rest) {
            case .octets(let count): rest = rest.dropFirst(count)
            case .wouldBlock: DescriptorWait.untilWritable(rawValue, milliseconds: 1000)
            case .closed, .failed: return
            }
        }
    }
}
