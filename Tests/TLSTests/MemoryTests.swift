import Glibc
import Testing

@testable import TLS

/// Octets that malloc has given away and not got back, in all arenas. malloc_info(3) writes them as
/// XML, of which the last lines are the sums; Swift's Glibc module does not have <malloc.h>.
private func octetsInUse() -> Int {
    typealias MallocInfo = @convention(c) (CInt, UnsafeMutablePointer<FILE>?) -> CInt
    guard let symbol = unsafe dlsym(nil, "malloc_info"), let stream = unsafe tmpfile() else { return 0 }
    defer { unsafe fclose(stream) }
    _ = unsafe unsafeBitCast(symbol, to: MallocInfo.self)(0, stream)
    unsafe rewind(stream)
    let octets = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 16) { room, count in
        count = unsafe fread(room.baseAddress, 1, room.count, stream)
    }
    let lines = String(decoding: octets, as: UTF8.self).split(separator: "\n")
    func sum(_ start: String) -> Int {
        let size = lines.last { $0.hasPrefix(start) }?.split(separator: "\"").last { Int($0) != nil }
        return size.flatMap { Int($0) } ?? 0
    }
    return sum("<system type=\"current\"") - sum("<total type=\"rest\"") - sum("<total type=\"fast\"")
        + sum("<total type=\"mmap\"")
}

/// How much `body` grows the heap in `rounds` rounds, after some to fill caches and free lists.
private func growth(rounds: Int, _ body: () throws -> Void) rethrows -> Int {
    for _ in 0..<20 { try body() }
    let before = octetsInUse()
    for _ in 0..<rounds { try body() }
    return octetsInUse() - before
}

/// One way through the module that must give back all it took.
private struct Journey {
    let name: String
    let body: () throws -> Void

    static func all(_ made: Certificates) throws -> [Journey] {
        let table = selector((["one.example.test"], try made.context("ec", "rsa")))
        let client = try made.client()
        let stranger = try TLSClientContext(trusted: made["bare.pem"])
        return [
            Journey(name: "a whole visit") {
                let line = try Line(table, client: client)
                line.shakeHands()
                _ = line.server.send([UInt8](repeating: 1, count: 100_000))
                _ = line.client?.receive()
                _ = line.client?.ticket()
                _ = line.client?.peerCertificate
                line.client?.shutdown()
                _ = line.server.receive()
            },
            Journey(name: "an unknown name") {
                try Line(table, client: client, name: "no.test").shakeHands()
            },
            Journey(name: "an untrusted server") { try Line(table, client: stranger).shakeHands() },
            Journey(name: "garbage") {
                let line = try Line(table, client: nil)
                line.inject([UInt8](repeating: 0x16, count: 300))
                _ = line.server.handshake()
            },
            Journey(name: "a handshake left half-way") {
                let line = try Line(table, client: client)
                _ = line.client?.handshake()
                _ = line.server.handshake()
            },
            Journey(name: "contexts") { _ = try made.context("rsa", "ec") },
        ] + faults(made)
    }

    private static func faults(_ made: Certificates) -> [Journey] {
        func attempt(_ name: String, _ chain: [UInt8], _ key: [UInt8]) -> Journey {
            Journey(name: name) {
                _ = try? TLSContext(certificates: [made.pair("rsa"), .init(chain: chain, key: key)])
            }
        }
        return [
            attempt("another's key", made["ec.pem"], made["rsa.key"]),
            attempt("an encrypted key", made["ec.pem"], made["locked.key"]),
            attempt("a weak key", made["weak.pem"], made["weak.key"]),
            attempt("a cut chain", Array(made["chain.pem"].dropLast(50)), made["ec.key"]),
            attempt("a cut key", made["ec.pem"], Array(made["ec.key"].dropLast(50))),
            attempt("nothing", [], []),
            attempt("a second RSA key", made["rsa.pem"], made["rsa.key"]),
        ]
    }
}

@Suite struct `Memory` {
    /// In a process of its own: other tests would disturb the count. What is smaller than the limit
    /// here, LeakSanitizer finds, without building anything anew:
    /// `LD_PRELOAD=$(gcc -print-file-name=liblsan.so) .build/debug/porticoPackageTests.xctest
    /// --filter TLSTests --skip Memory --testing-library swift-testing`.
    @Test func `is given back on every way through the module`() async {
        await #expect(processExitsWith: .success) {
            var leaks: [String] = []
            for journey in try Journey.all(Certificates.shared) {
                let rounds = 150
                let grown = try growth(rounds: rounds, journey.body)
                // malloc's own bookkeeping comes to some hundreds a round; a forgotten certificate,
                // key or session to thousands.
                if grown > rounds * 1024 { leaks.append("\(journey.name): \(grown) octets") }
            }
            try #require(leaks.isEmpty, "\(leaks)")
        }
    }
}
