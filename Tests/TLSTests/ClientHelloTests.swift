import Glibc
import Octets
import Support
import Testing

@testable import TLS

private let certificates = Certificates.shared

/// Hellos of our own making, and those of OpenSSL.
private enum Hello {
    static func number(_ value: Int, _ octets: Int) -> [UInt8] {
        (0..<octets).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }

    static func list(_ octets: [UInt8], _ lengthOctets: Int) -> [UInt8] { number(octets.count, lengthOctets) + octets }

    static func serverName(_ name: String) -> [UInt8] {
        [0, 0] + list(list([0] + list(Array(name.utf8), 2), 2), 2)
    }

    static let keyShare: [UInt8] = [0, 51] + list([UInt8](repeating: 7, count: 40), 2)

    /// The handshake message.
    static func message(extensions: [UInt8]?) -> [UInt8] {
        var body: [UInt8] = [3, 3] + [UInt8](repeating: 1, count: 32)
        body += list([UInt8](repeating: 2, count: 32), 1) + list([0x13, 1, 0x13, 2], 2) + list([0], 1)
        if let extensions { body += list(extensions, 2) }
        return [1] + list(body, 3)
    }

    static func records(_ message: [UInt8], of size: Int = 16_384) -> [UInt8] {
        stride(from: 0, to: message.count, by: size).flatMap { start in
            [0x16, 3, 1] + list(Array(message[start..<min(start + size, message.count)]), 2)
        }
    }

    static func whole(_ name: String) -> [UInt8] {
        records(message(extensions: keyShare + serverName(name) + keyShare.map { $0 == 51 ? 45 : $0 }))
    }
}

private func read(_ octets: [UInt8], piece: Int = .max) -> ClientHelloReader.Progress {
    var reader = ClientHelloReader()
    var result = ClientHelloReader.Progress.incomplete
    var index = 0
    while index < octets.count {
        let end = piece > octets.count - index ? octets.count : index + piece
        let part = Array(octets[index..<end])
        result = unsafe part.withUnsafeBytes { unsafe reader.read(Octets($0)) }
        index = end
    }
    return result
}

@Suite struct `A ClientHello that is not ours` {
    @Test(arguments: [1, 2, 3, 5, 6, 7, 64, .max])
    func `tells its server name, in whatever pieces and records it comes`(piece: Int) {
        let message = Hello.message(extensions: Hello.keyShare + Hello.serverName("One.Example.TEST."))
        for size in [1, 2, 3, 4, 5, 100, 16_384] {
            #expect(read(Hello.records(message, of: size), piece: piece) == .hello(serverName: "one.example.test"))
        }
    }

    @Test func `is incomplete at every octet but the last`() {
        let whole = Hello.whole("a.com")
        for count in 0..<whole.count { #expect(read(Array(whole[..<count])) == .incomplete) }
        #expect(read(whole) == .hello(serverName: "a.com"))
        #expect(read(whole + [0x17, 3, 3, 0, 1, 9]) == .hello(serverName: "a.com"))
    }

    @Test func `may have no name, and no extensions`() {
        #expect(read(Hello.records(Hello.message(extensions: Hello.keyShare))) == .hello(serverName: nil))
        #expect(read(Hello.records(Hello.message(extensions: []))) == .hello(serverName: nil))
        #expect(read(Hello.records(Hello.message(extensions: nil))) == .hello(serverName: nil))
    }

    @Test(arguments: ["GET / HTTP/1.1\r\n\r\n", "SSH-2.0-x\r\n", "\0\0\0", "\u{16}\u{2}\u{0}"])
    func `is no TLS when it does not begin so`(text: String) {
        #expect(read(Array(text.utf8)) == .failed(.notTLS))
    }

    @Test func `is malformed when it breaks a rule`() {
        func message(_ extensions: [UInt8]) -> [UInt8] { Hello.records(Hello.message(extensions: extensions)) }
        let name = Hello.serverName("a.com")
        let cases: [[UInt8]] = [
            message(name + name), message(Array(name.dropLast())), message(name + [0]),
            message(Hello.serverName("")), message(Hello.serverName("a b")), message(Hello.serverName("a\0b")),
            message(Hello.serverName(String(repeating: "a", count: 300))),
            [0x16, 3, 1, 0, 0], [0x16, 3, 1, 0x40, 1], [0x16, 3, 1, 0, 1, 2],    // empty, too long, no client_hello
            Hello.records([1, 0, 0, 0]), Hello.records([1, 0, 0, 2, 3, 3]),
            Hello.records(Hello.message(extensions: name), of: 10).prefix(15) + [0x17, 3, 3, 0, 1, 0],
            Hello.records(Hello.message(extensions: name), of: 10).prefix(15) + [0x16, 2, 3, 0, 1, 0],
        ]
        for octets in cases {
            #expect(read(octets) == .failed(.malformed), "\(octets.prefix(80))")
            #expect(read(octets, piece: 1) == .failed(.malformed), "\(octets.prefix(80))")
        }
    }

    @Test func `is too long beyond 16 KiB, and nothing is kept beyond that`() {
        let large = [UInt8](repeating: 5, count: 60_000)
        let padded = Hello.message(extensions: [0, 21] + Hello.list(large, 2) + Hello.serverName("a.com"))
        #expect(read(Hello.records(padded)) == .failed(.tooLong))
        #expect(read(Hello.records(padded), piece: 1) == .failed(.tooLong))
        // Small messages in very many records.
        let some = Hello.message(extensions: [0, 21] + Hello.list(Array(large.prefix(5000)), 2))
        #expect(read(Hello.records(some, of: 1)) == .failed(.tooLong))
        #expect(read(Hello.records(some, of: 2000)) == .hello(serverName: nil))
        // What is said of its length alone decides.
        #expect(read([0x16, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff]) == .failed(.tooLong))
    }

    @Test func `of OpenSSL is read, and answered by a session that gets its octets`() throws {
        for (name, piece) in [("one.example.test", 1), ("localhost", 64), ("one.example.test", Int.max)] {
            let line = try Line(
                selector((["*"], try certificates.context("ec"))), client: try certificates.client(), name: name)
            _ = line.client?.handshake()
            let hello = line.take()
            #expect(read(hello, piece: piece) == .hello(serverName: name))
            let server = try unsafe hello.withUnsafeBytes {
                try unsafe TLSSession(
                    selector: selector((["*"], try certificates.context("ec"))), descriptor: line.far,
                    received: Octets($0))
            }
            var states = (client: TLSProgress.wantsRead, server: TLSProgress.wantsRead)
            for _ in 0..<8 {
                states.server = server.handshake()
                if let client = line.client { states.client = client.handshake() }
            }
            #expect(states == (.done, .done))
            #expect(server.serverName == name)
            #expect(line.client?.send(Array("hello".utf8)) == .octets(5))
            #expect(server.receive().octets == Array("hello".utf8))
        }
    }

    @Test func `cut anywhere is finished by a session that was given its beginning`() throws {
        let context = try certificates.context("ec")
        for share in [1, 5, 6, 100, 200] {
            let line = try Line(selector((["*"], context)), client: try certificates.client())
            _ = line.client?.handshake()
            let hello = line.take()
            let early = Array(hello.prefix(share))
            let server = try unsafe early.withUnsafeBytes {
                try unsafe TLSSession(selector: selector((["*"], context)), descriptor: line.far, received: Octets($0))
            }
            #expect(server.handshake() == .wantsRead)
            line.inject(Array(hello.dropFirst(share)))
            for _ in 0..<8 {
                _ = server.handshake()
                _ = line.client?.handshake()
            }
            #expect(server.handshake() == .done, "\(share)")
        }
    }
}

@Suite struct `A listener's choice between its TLS and others'` {
    @Test func `is by the most specific name of all`() throws {
        let context = try certificates.context("ec")
        let selector = TLSSelector(
            chains: [(["a.com"], context, 0), (["*.wide.com"], context, 1)],
            passed: [(["*.a.com", "x.wide.com"], 7), (["*"], 9)], closed: [["closed.com"]])
        for (name, choice) in [
            ("a.com", .terminate), ("x.a.com", .pass(7)), ("x.wide.com", .pass(7)), ("y.wide.com", .terminate),
            ("other.org", .pass(9)), (nil, .pass(9)), ("closed.com", .close),
        ] as [(String?, TLSSelector.Choice)] { #expect(selector.choice(serverName: name) == choice) }
        #expect(selector.chainNumber(serverName: "x.a.com") == nil)
        #expect(selector.chainNumber(serverName: "y.wide.com") == 1)
        #expect(TLSSelector(chains: []).choice(serverName: "a") == .none)
    }

    @Test func `never has a session serve a name that is passed on`() throws {
        let selector = TLSSelector(
            chains: [(["a.com"], try certificates.context("ec"), 0)], passed: [(["one.example.test"], 1)])
        let line = try Line(selector, client: try certificates.client())
        #expect(line.shakeHands().server == .failed(.unknownServerName("one.example.test")))
    }
}

/// Random mutations of good messages with a fixed seed. `PORTICO_FUZZ_ROUNDS` makes the run longer.
@Suite struct `Hostile ClientHellos` {
    private var rounds: Int { TestFiles.environment("PORTICO_FUZZ_ROUNDS").flatMap(Int.init) ?? 3000 }

    /// A generator that gives the same numbers on every machine.
    private struct Random {
        var state: UInt64
        mutating func below(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(truncatingIfNeeded: state >> 33) % limit
        }
    }

    private static let seeds: [[UInt8]] = [
        Hello.whole("a.example.com"), Hello.records(Hello.message(extensions: Hello.serverName("b.com")), of: 3),
        Hello.records(Hello.message(extensions: nil)), Hello.whole(String(repeating: "x", count: 200)),
    ]

    @Test func `neither trap nor read differently in other pieces`() {
        var random = Random(state: 20_261_126)
        var kinds: Set<String> = []
        for round in 0..<rounds {
            var octets = Self.seeds[random.below(Self.seeds.count)]
            for _ in 0...random.below(4) {
                switch random.below(5) {
                case 0: octets[random.below(octets.count)] = UInt8(random.below(256))
                case 1: octets.remove(at: random.below(octets.count))
                case 2: octets.insert(UInt8(random.below(256)), at: random.below(octets.count + 1))
                case 3: octets = Array(octets.prefix(1 + random.below(octets.count)))
                default: octets += octets.suffix(1 + random.below(octets.count))
                }
                if octets.isEmpty { octets = [0x16] }
            }
            let whole = read(octets)
            #expect(read(octets, piece: 1) == whole, "round \(round): \(octets)")
            #expect(read(octets, piece: 1 + random.below(40)) == whole, "round \(round): \(octets)")
            kinds.insert("\(whole)".prefix { $0 != "\"" }.description)
        }
        #expect(kinds.count >= 4)    // the mutations reach every kind of end
    }

    /// A name on which OpenSSL and we differ would be served by one server and meant for another.
    @Test func `have the name that OpenSSL finds, where it finds one`() throws {
        var random = Random(state: 7)
        let context = try certificates.context("ec")
        var agreed = 0
        for _ in 0..<min(rounds, 600) {
            let line = try Line(selector((["*"], context)), client: try certificates.client(), name: "one.example.test")
            _ = line.client?.handshake()
            var octets = line.take()
            for _ in 0..<random.below(3) { octets[5 + random.below(octets.count - 5)] = UInt8(random.below(256)) }
            line.inject(octets)
            _ = line.server.handshake()
            guard line.server.isHelloRead, let name = line.server.serverName else { continue }
            if case .hello(let found) = read(octets) {
                #expect(found == name)
                agreed += 1
            }
        }
        #expect(agreed > 100)
    }
}

extension Line {
    /// What waits at the server's end, which then has not come.
    fileprivate func take() -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: 1 << 16) { room, count in
            count = max(0, unsafe recv(far, room.baseAddress, room.count, 0))
        }
    }
}
