import Glibc
import HTTP
import Octets
import Reactor
import Testing

@testable import Proxy

@Suite struct `The boundary of gRPC messages` {
    /// Messages of these lengths, each with its prefix.
    private static func stream(_ lengths: [Int]) -> [UInt8] {
        var octets: [UInt8] = []
        for length in lengths {
            octets.append(0)
            for shift in [24, 16, 8, 0] { octets.append(UInt8(truncatingIfNeeded: length >> shift)) }
            octets += [UInt8](repeating: 0xff, count: length)
        }
        return octets
    }

    private static func pass(_ octets: ArraySlice<UInt8>, _ boundary: inout GRPCMessageBoundary) {
        unsafe Array(octets).withUnsafeBytes { unsafe boundary.pass(Octets($0)) }
    }

    @Test(arguments: [[], [0], [1], [0, 0, 5], [255, 256, 3], [70_000, 0, 1]])
    func `is found in pieces of any size`(lengths: [Int]) {
        let stream = Self.stream(lengths)
        var ends: Set<Int> = [0]
        for length in lengths { ends.insert((ends.max() ?? 0) + 5 + length) }
        for piece in [1, 2, 4, 5, 6, 1000, 1 << 20] {
            var boundary = GRPCMessageBoundary()
            #expect(boundary.isBetweenMessages)
            var position = 0
            while position < stream.count {
                let end = min(position + piece, stream.count)
                Self.pass(stream[position..<end], &boundary)
                position = end
                if boundary.isBetweenMessages != ends.contains(position) {
                    Issue.record("at \(position) of \(lengths) in pieces of \(piece)")
                    return
                }
            }
            #expect(boundary.isBetweenMessages)
        }
    }

    @Test func `is far away after the longest message there is`() {
        var boundary = GRPCMessageBoundary()
        Self.pass([1, 0xff, 0xff, 0xff, 0xff], &boundary)
        #expect(!boundary.isBetweenMessages)
        Self.pass(ArraySlice([UInt8](repeating: 0, count: 1000)), &boundary)
        #expect(!boundary.isBetweenMessages)
    }

    @Test func `does not move by no octets`() {
        var boundary = GRPCMessageBoundary()
        boundary.pass(.empty)
        #expect(boundary.isBetweenMessages)
        Self.pass([0, 0, 0], &boundary)
        boundary.pass(.empty)
        #expect(!boundary.isBetweenMessages)
    }
}

@Suite struct `A request ID` {
    @Test func `has the form of a random UUID`() {
        var random = Randomness()
        for _ in 0..<2000 {
            let text = random.identifier().withText { $0.string }
            let parts = text.split(separator: "-", omittingEmptySubsequences: false)
            #expect(parts.map(\.count) == [8, 4, 4, 4, 12])
            #expect(parts[2].first == "4")
            #expect("89ab".contains(parts[3].first ?? "?"))
            #expect(text.allSatisfy { "0123456789abcdef-".contains($0) })
        }
    }

    @Test func `is never the same, whoever makes it`() {
        var (one, two) = (Randomness(), Randomness())
        var seen: Set<String> = []
        for _ in 0..<2000 {
            #expect(seen.insert(one.identifier().withText { $0.string }).inserted)
            #expect(seen.insert(two.identifier().withText { $0.string }).inserted)
        }
    }

    /// All but the six bits that say what it is.
    @Test func `uses all its bits`() {
        var random = Randomness()
        var ones: [Int] = Array(repeating: 0, count: 32)    // by digit: the bits seen set
        var zeros = ones
        for _ in 0..<500 {
            let digits = random.identifier().withText { $0.string }.compactMap { $0.hexDigitValue }
            for (place, digit) in digits.enumerated() {
                ones[place] |= digit
                zeros[place] |= ~digit & 15
            }
        }
        for place in 0..<32 where place != 12 && place != 16 { #expect(ones[place] & zeros[place] == 15) }
        #expect(ones[12] == 4 && zeros[12] == 11 && ones[16] == 11 && zeros[16] == 7)
    }
}

@Suite struct `A date in HTTP` {
    @Test(arguments: [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"), (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"), (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
        (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"), (1_735_689_600, "Wed, 01 Jan 2025 00:00:00 GMT"),
        (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"), (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (2_147_483_648, "Tue, 19 Jan 2038 03:14:08 GMT"), (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
    ]) func `is the known one`(seconds: Int, text: String) {
        var date = HTTPDate()
        #expect(date.octets(at: WallTime(seconds: seconds, nanoseconds: 999_999_999)).string == text)
    }

    @Test func `is the same that the C library makes, all over two centuries`() {
        var date = HTTPDate()
        var seconds = -86_400
        while seconds < 6_500_000_000 {
            #expect(date.octets(at: WallTime(seconds: seconds, nanoseconds: 0)).string == Self.library(seconds))
            seconds += 1_234_577
        }
    }

    private static func library(_ seconds: Int) -> String {
        var (seconds, parts) = (seconds, unsafe tm())
        unsafe gmtime_r(&seconds, &parts)
        let octets = unsafe [UInt8](unsafeUninitializedCapacity: 64) { room, count in
            count = unsafe room.withMemoryRebound(to: CChar.self) {
                unsafe strftime($0.baseAddress.unsafelyUnwrapped, 64, "%a, %d %b %Y %H:%M:%S GMT", &parts)
            }
        }
        return String(decoding: octets, as: UTF8.self)
    }

    @Test func `changes with the second, also backwards`() {
        var date = HTTPDate()
        for (seconds, end) in [(10, "00:00:10 GMT"), (10, "00:00:10 GMT"), (11, "00:00:11 GMT"), (9, "00:00:09 GMT")] {
            #expect(date.octets(at: WallTime(seconds: seconds, nanoseconds: 0)).string.hasSuffix(end))
        }
    }
}

@Suite struct `The first octets of a connection` {
    private static let magic = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    private static func look(_ octets: [UInt8]) -> Preface.Verdict {
        unsafe octets.withUnsafeBytes { unsafe Preface.look(at: Octets($0)) }
    }

    @Test func `are HTTP/2 when the whole preface is there, and open until then`() {
        for count in 0..<Self.magic.count {
            #expect(Self.look(Array(Self.magic[..<count])) == .incomplete, "\(count) octets")
        }
        #expect(Self.look(Self.magic) == .http2)
        #expect(Self.look(Self.magic + [0, 0, 0, 4, 0, 0, 0, 0, 0]) == .http2)
    }

    @Test func `are HTTP/1.1 from the first octet that differs`() {
        for place in Self.magic.indices {
            var octets = Array(Self.magic[...place])
            octets[place] ^= 0x20
            #expect(Self.look(octets) == .http1, "octet \(place)")
            #expect(Self.look(octets + [UInt8](repeating: 0x20, count: 100)) == .http1, "octet \(place)")
        }
    }

    @Test(arguments: ["GET / HTTP/1.1\r\n", "POST", "PUT", "PR\r\n", "\r\n", "\u{16}\u{3}\u{1}"])
    func `are HTTP/1.1 where they are anything else`(text: String) {
        #expect(Self.look(Array(text.utf8)) == .http1)
    }
}
