import HTTP
import Octets
import TLS

/// Short texts of clients: a path, a deadline, the first octets of a connection.
enum TextFuzz {
    /// The normal form of a path is its own normal form, and no part of it leads upwards.
    static let path: @Sendable ([UInt8]) -> Void = { octets in
        octets.withOctets { path in
            let block = HeaderBlock()
            let normal: [UInt8]
            switch PathNormalization.normalize(path, in: block) {
            case .refused: return
            case .normal: normal = path.array
            case .changed(let changed): normal = changed.array
            }
            normal.withOctets { normal in
                let again = PathNormalization.normalize(normal, in: HeaderBlock())
                demand(again == .normal, "\(normal.string) is not its own normal form")
                checkNormal(normal)
            }
            checkQuery(path, normal)
        }
    }

    private static func checkNormal(_ normal: Octets) {
        guard normal != "*" else { return }
        demand(normal.first == UInt8(ascii: "/"), "\(normal.string) does not begin with a slash")
        demand(normal.array.allSatisfy { $0 > 0x20 && $0 < 0x7f }, "octets that no path has")
        demand(normal.firstIndex(of: UInt8(ascii: "#")) == nil, "a fragment")
        let end = normal.firstIndex(of: UInt8(ascii: "?")) ?? normal.count
        let segments = normal.prefix(end).string.split(separator: "/", omittingEmptySubsequences: false)
        for segment in segments {
            let plain = segment.lowercased().replacing("%2e", with: ".")
            demand(plain != "." && plain != "..", "\(normal.string) has a dot segment")
            demand(!segment.contains("\\") && !segment.contains("%00"), "\(normal.string) has `\\` or a NUL")
        }
    }

    /// The query stays as it is.
    private static func checkQuery(_ path: Octets, _ normal: [UInt8]) {
        let kept = path.array.prefix { $0 != UInt8(ascii: "#") }
        let query = kept.drop { $0 != UInt8(ascii: "?") }
        demand(normal.drop { $0 != UInt8(ascii: "?") } == query, "another query")
    }

    /// What is read as a deadline is written in a way that is read as the same; what is left of one is never more.
    static let timeout: @Sendable ([UInt8]) -> Void = { octets in
        guard let timeout = octets.withOctets({ GRPCTimeout($0) }) else {
            demand(
                octets.count < 2 || octets.count > 9 || !octets.dropLast().allSatisfy(\.isDigit)
                    || !"HMSmun".utf8.contains(octets[octets.count - 1]), "a good deadline is refused")
            return
        }
        let output = OctetBuffer()
        timeout.write(to: output)
        demand(GRPCTimeout(output.octets) == timeout, "\(output.octets.string) is another deadline")
        let rest = GRPCTimeout(remaining: timeout.duration)
        demand(rest.amount > 0, "0 would be no deadline")
        demand(rest.duration <= max(timeout.duration, .nanoseconds(1)), "a later deadline")
        let lost = timeout.duration - rest.duration
        demand(lost < .milliseconds(1) || timeout.duration > .seconds(99_999), "\(lost) is lost")
    }

    /// The pieces in which a ClientHello comes make no difference.
    static let clientHello: @Sendable ([UInt8]) -> Void = { octets in
        var supply = Supply(octets)
        var pieces = Pieces(seed: supply.octet())
        let hello = supply.everything()
        let whole = read([hello[...]])
        let (cut, single) = (read(pieces.cut(hello, most: 40)), read(hello.map { [$0] }))
        demand(whole == cut && whole == single, "in pieces it is \(cut) or \(single), not \(whole)")
        guard case .hello(let name?) = whole else { return }
        demand((1...255).contains(name.utf8.count) && name == name.lowercased(), "`\(name)` is no name")
    }

    private static func read(_ pieces: [ArraySlice<UInt8>]) -> ClientHelloReader.Progress {
        var reader = ClientHelloReader()
        var progress = ClientHelloReader.Progress.incomplete
        for piece in pieces { progress = piece.withOctets { reader.read($0) } }
        return progress
    }
}
