internal import Glibc
internal import Octets
internal import Support

/// One target of libFuzzer: what is done with octets of chance, and what must hold of the outcome. A demand that does
/// not hold ends the process, as a trap does, and libFuzzer keeps the octets.
package struct FuzzTarget: Sendable {
    /// The name on the command line, and that of the corpus's folder.
    package let name: String
    /// Reads the octets, and checks what became of them.
    package let feed: @Sendable ([UInt8]) -> Void

    /// All targets, in the order in which `Tests/tools/fuzz` runs them.
    package static let all = [
        FuzzTarget(name: "http1-requests", feed: HTTP1Fuzz.requests),
        FuzzTarget(name: "http1-responses", feed: HTTP1Fuzz.responses),
        FuzzTarget(name: "http2-server", feed: HTTP2Fuzz.server),
        FuzzTarget(name: "http2-client", feed: HTTP2Fuzz.client),
        FuzzTarget(name: "hpack-pair", feed: HPACKFuzz.pair),
        FuzzTarget(name: "hpack-decoder", feed: HPACKFuzz.decoder),
        FuzzTarget(name: "header-fields", feed: HeaderFuzz.fields),
        FuzzTarget(name: "header-values", feed: HeaderFuzz.values),
        FuzzTarget(name: "path", feed: TextFuzz.path),
        FuzzTarget(name: "grpc-timeout", feed: TextFuzz.timeout),
        FuzzTarget(name: "grpc-web", feed: GRPCWebFuzz.feed),
        FuzzTarget(name: "proxy-protocol", feed: ProxyProtocolFuzz.feed),
        FuzzTarget(name: "client-hello", feed: TextFuzz.clientHello),
        FuzzTarget(name: "yaml", feed: ManifestFuzz.yaml),
        FuzzTarget(name: "json", feed: ManifestFuzz.json),
        FuzzTarget(name: "cluster", feed: ClusterFuzz.feed),
    ]

    /// The target that `PORTICO_FUZZ_TARGET` names; nil for a name that no target has.
    package static let chosen: FuzzTarget? = {
        let name = TestFiles.environment("PORTICO_FUZZ_TARGET")
        return all.first { $0.name == name }
    }()
}

/// Ends the process, with the sentence, when something does not hold that must.
func demand(_ condition: Bool, _ sentence: @autoclosure () -> String) {
    guard !condition else { return }
    broken(sentence())
}

/// The same for a place that nobody may come to.
func broken(_ sentence: String) -> Never {
    // An optimised program does not say why it traps.
    Array((sentence + "\n").utf8).withOctets { _ = unsafe write(2, $0.buffer.baseAddress, $0.count) }
    abort()
}

/// Octets of chance as a supply of numbers and of shorter runs. At its end every number is 0 and every run empty.
struct Supply {
    private(set) var rest: ArraySlice<UInt8>

    init(_ octets: [UInt8]) { rest = octets[...] }

    var isEmpty: Bool { rest.isEmpty }

    mutating func octet() -> UInt8 { rest.popFirst() ?? 0 }

    /// A number from 0 to `limit - 1`.
    mutating func number(below limit: Int) -> Int { Int(octet()) % max(limit, 1) }

    mutating func take(_ count: Int) -> [UInt8] {
        let taken = Array(rest.prefix(count))
        rest = rest.dropFirst(count)
        return taken
    }

    /// A run of up to 255 octets, behind an octet that says how many.
    mutating func run() -> [UInt8] { take(Int(octet())) }

    mutating func everything() -> [UInt8] { take(rest.count) }
}

/// Sizes of pieces, by a seed: the same in each run.
struct Pieces {
    private var state: UInt64

    init(seed: UInt8) { state = (UInt64(seed) &+ 1) &* 0x9e37_79b9_7f4a_7c15 }

    mutating func next(below limit: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state >> 33) % max(limit, 1)
    }

    /// The octets in pieces of up to `most`.
    mutating func cut(_ octets: [UInt8], most: Int) -> [ArraySlice<UInt8>] {
        var rest = octets[...]
        var pieces: [ArraySlice<UInt8>] = []
        while !rest.isEmpty {
            let count = 1 + next(below: most)
            pieces.append(rest.prefix(count))
            rest = rest.dropFirst(count)
        }
        return pieces
    }
}

extension Sequence<UInt8> {
    /// The octets in one run of memory, for the time of a call.
    func withOctets<Result>(_ body: (Octets) -> Result) -> Result {
        let array = Array(self)
        return unsafe array.withUnsafeBytes { unsafe body(Octets($0)) }
    }
}
