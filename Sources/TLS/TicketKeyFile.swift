package import Octets

/// The file of the keys that session tickets are sealed with, which replicas of a gateway share: a client that meets
/// another replica resumes its session there. Each line has one key, 80 octets in Base64: 16 of a name, 32 for AES-256,
/// 32 for HMAC-SHA256. The first key seals, all of them open. Whoever rotates them puts a new key behind the
/// first one on all replicas, then to the front, and takes the last one away when its tickets have expired.
/// Source: envoyproxy/envoy api/envoy/extensions/transport_sockets/tls/v3/common.proto, TlsSessionTicketKeys.
package enum TicketKeyFile {
    /// Why the file is not used.
    package enum Failure: Error, Sendable, Equatable, CustomStringConvertible {
        case noKey
        /// It has more than `mostKeys`.
        case tooMany
        /// A line, counted from 1, is not a key.
        case notAKey(line: Int)
        /// The octets of a line are all the same, which no random key has.
        case notRandom(line: Int)
        case sameName(line: Int)

        package var description: String {
            switch self {
            case .noKey: "it has no key"
            case .tooMany: "it has more than \(TicketKeyFile.mostKeys) keys"
            case .notAKey(let line): "line \(line) is not 80 octets in Base64"
            case .notRandom(let line): "line \(line) has no random key"
            case .sameName(let line): "line \(line) has the name (the first 16 octets) of another key"
            }
        }

        /// The line that is wrong; 1 for the file as a whole.
        package var line: Int {
            switch self {
            case .noKey, .tooMany: 1
            case .notAKey(let line), .notRandom(let line), .sameName(let line): line
            }
        }
    }

    /// The most keys of a file: each ticket that comes is compared with all of their names.
    package static let mostKeys = 16
    /// The largest file, in octets: `mostKeys` keys, and comments.
    package static let mostOctets = 16 << 10

    /// Has all servers of the process use the keys of a file from now on.
    /// - Parameter text: the file; lines that are empty or begin with `#` are not keys.
    /// - Throws: the first problem; the keys in use stay.
    package static func use(_ text: Octets) throws(Failure) { TicketKeys.replaceShared(with: try keys(text)) }

    /// Has all servers use keys of their own again.
    package static func useNone() { TicketKeys.replaceShared(with: []) }

    /// The keys of a file, the first one first.
    /// - Throws: the first problem.
    static func keys(_ text: Octets) throws(Failure) -> [TicketKey] {
        let now = ContinuousClock.now
        var (keys, rest, line) = ([TicketKey](), text, 0)
        while !rest.isEmpty {
            line += 1
            let end = rest.firstIndex(of: 0x0a) ?? rest.count
            let words = trimmed(rest.prefix(end))
            rest = rest.dropFirst(end + 1)
            if words.isEmpty || words[0] == UInt8(ascii: "#") { continue }
            guard keys.count < mostKeys else { throw .tooMany }
            let decoded = unsafe TicketKey(made: now) { room in unsafe decode(words, into: room) }
            guard let key = decoded else { throw .notAKey(line: line) }
            guard key.isVaried else { throw .notRandom(line: line) }
            let isKnown = keys.contains { unsafe $0.name.elementsEqual(key.name) }
            guard !isKnown else { throw .sameName(line: line) }
            keys.append(key)
        }
        guard !keys.isEmpty else { throw .noKey }
        return keys
    }

    private static func trimmed(_ line: Octets) -> Octets {
        var (start, end) = (0, line.count)
        while start < end, line[start] <= 0x20 { start += 1 }
        while end > start, line[end - 1] <= 0x20 { end -= 1 }
        return line.slice(start, end)
    }

    /// Decodes exactly as many octets as there is room for; nothing is copied elsewhere. Source: RFC 4648 §4.
    private static func decode(_ text: Octets, into room: UnsafeMutableRawBufferPointer) -> Bool {
        let digits = (room.count * 8 + 5) / 6
        guard text.count == (digits + 3) / 4 * 4 else { return false }
        for index in digits..<text.count where text[index] != UInt8(ascii: "=") { return false }
        var (bits, held, place) = (0 as UInt32, 0, 0)
        for index in 0..<digits {
            guard let value = value(of: text[index]) else { return false }
            bits = (bits << 6 | value) & 0x3fff
            held += 6
            guard held >= 8 else { continue }
            held -= 8
            unsafe room[place] = UInt8(truncatingIfNeeded: bits >> UInt32(held))
            place += 1
        }
        // The bits behind the last octet are 0, or it would have two spellings.
        return place == room.count && bits & (1 << UInt32(held) - 1) == 0
    }

    private static func value(of digit: UInt8) -> UInt32? {
        switch digit {
        case 0x41...0x5a: UInt32(digit - 0x41)    // A to Z
        case 0x61...0x7a: UInt32(digit - 0x61) + 26    // a to z
        case 0x30...0x39: UInt32(digit - 0x30) + 52    // 0 to 9
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}

extension TicketKey {
    /// Whether neither the part for AES nor that for HMAC consists of one octet over and over.
    fileprivate var isVaried: Bool {
        unsafe Self.isVaried(secrets.prefix(32)) && Self.isVaried(secrets.suffix(32))
    }

    private static func isVaried(_ part: some Collection<UInt8>) -> Bool {
        part.contains { $0 != part.first }
    }
}
