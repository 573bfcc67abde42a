import Octets
import Testing

@testable import TLS

@Suite struct `The file of ticket keys` {
    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// A key whose octets are `first`, `first + 1` and so on, in Base64.
    private static func line(_ first: UInt8) -> String {
        let octets = (0..<80).map { first &+ UInt8($0) } + [0]
        var text: [UInt8] = []
        for start in stride(from: 0, to: 81, by: 3) {
            let group = octets[start..<(start + 3)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            for shift in [18, 12, 6, 0] as [UInt32] { text.append(digits[Int(group >> shift & 63)]) }
        }
        text[107] = UInt8(ascii: "=")
        return String(decoding: text, as: UTF8.self)
    }

    private static func read(_ text: String) -> Result<[TicketKey], TicketKeyFile.Failure> {
        let octets = Array(text.utf8)
        return unsafe octets.withUnsafeBytes { buffer in
            Result { () throws(TicketKeyFile.Failure) in unsafe try TicketKeyFile.keys(Octets(buffer)) }
        }
    }

    private static func failure(_ text: String) -> TicketKeyFile.Failure? {
        if case .failure(let failure) = read(text) { failure } else { nil }
    }

    @Test func `has a key in each line that is no comment`() throws {
        let keys = try Self.read("# of today\n\(Self.line(1))\r\n\n  \(Self.line(2))  \n#\n\(Self.line(3))").get()
        let names = keys.map { unsafe Array($0.name) }
        #expect(names == [1, 2, 3].map { first in (0..<16).map { first + UInt8($0) } })
        let secrets = keys.map { unsafe Array($0.secrets) }
        #expect(secrets[2] == (16..<80).map { 3 + UInt8($0) })
    }

    @Test func `is refused with its line when it is broken`() {
        let good = Self.line(1)
        #expect(Self.failure("") == .noKey && Self.failure("\n# nothing\n") == .noKey)
        #expect(Self.failure("\(good)\n\(good.dropLast(4))") == .notAKey(line: 2))
        #expect(Self.failure("\(good)AAAA") == .notAKey(line: 1))
        #expect(Self.failure(good.replacing("=", with: "A")) == .notAKey(line: 1))
        #expect(Self.failure("-" + good.dropFirst()) == .notAKey(line: 1))
        // The last digit has two bits that belong to no octet.
        #expect(Self.failure(good.dropLast(2) + "x=") == .notAKey(line: 1))
        #expect(Self.failure("\(good)\n\n\(good)") == .sameName(line: 3))
        #expect(Self.failure(String(repeating: "A", count: 107) + "=") == .notRandom(line: 1))
        let many = (0..<17).map { Self.line(UInt8(2 * $0)) }.joined(separator: "\n")
        #expect(Self.failure(many) == .tooMany)
    }

    @Test func `decides what seals and what opens`() throws {
        let now = ContinuousClock.now
        var ring = TicketKeys()
        func seals(_ key: TicketKey, after hours: Int = 0) -> Bool {
            ring.sealingKey(at: now + .seconds(hours * 3600)) === key
        }
        func opens(_ key: TicketKey) -> Bool { unsafe ring.openingKey(named: key.name, at: now) === key }
        let made = ring.sealingKey(at: now)
        let own = try #require(made)
        let keys = try Self.read("\(Self.line(1))\n\(Self.line(2))").get()
        ring.replaceShared(with: keys)
        #expect(seals(keys[0]) && opens(own) && opens(keys[0]) && opens(keys[1]))
        #expect(ring.isSealing(keys[0]) && !ring.isSealing(keys[1]) && !ring.isSealing(own))
        ring.replaceShared(with: [])
        #expect(seals(own) && !opens(keys[1]))
        ring.replaceShared(with: [keys[1]])
        #expect(!opens(keys[0]) && seals(keys[1], after: 40))
    }
}
