import JSON
import Testing

/// Hostile texts: none may trap, and what is read and written again is the same.
@Suite struct JSONFuzzTests {
    private static let seeds = [
        #"{"kind":"List","metadata":{"resourceVersion":"1","continue":"x"},"#
            + #""items":[{"metadata":{"name":"a","n":-1.5e3}}]}"#,
        #"{"type":"ADDED","object":{"metadata":{"name":"é€😀","namespace":"\u00e9\ud83d\ude00"},"#
            + #""spec":[true,null,[],{}]}}"#,
        #"["\"\\\/\b\f\n\r\t",0,-0,1.0,1E+2,{"a":{"b":{"c":[[[]]]}}},"a long text without any escape sequence in it"]"#,
        #"{"code":410,"reason":"Expired","message":"m","details":{"retryAfterSeconds":3}}"#,
    ].map { Array($0.utf8) }

    private static func mutated(_ seed: [UInt8], _ random: inout SystemRandomNumberGenerator) -> [UInt8] {
        var octets = seed
        for _ in 0..<Int.random(in: 1...4, using: &random) where !octets.isEmpty {
            let place = Int.random(in: 0..<octets.count, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: octets[place] = UInt8.random(in: 0...255, using: &random)
            case 1: octets.remove(at: place)
            case 2: octets.insert(Array("{}[]\",:\\u0dD8e-.".utf8).randomElement(using: &random) ?? 0, at: place)
            case 3: octets.removeLast(octets.count - place)
            default: octets.insert(contentsOf: octets[place..<min(place + 9, octets.count)], at: place)
            }
        }
        return octets
    }

    @Test func `mutated texts`() throws {
        var random = SystemRandomNumberGenerator()
        var accepted = 0
        for round in 0..<40_000 {
            let octets = Self.mutated(Self.seeds[round % Self.seeds.count], &random)
            if ReaderTests.kind(octets) == nil { accepted += 1 }
            _ = try? ListSkim(octets)
            _ = try? WatchSkim(octets)
            _ = try? MetadataSkim(octets)
            _ = try? StatusSkim(octets)
        }
        #expect(accepted > 100)    // the mutations reach texts that are JSON, too
    }

    @Test func `each beginning of a text, and each octet in the place of each`() {
        for seed in Self.seeds {
            for end in 0..<seed.count { #expect(ReaderTests.kind(Array(seed[..<end])) != nil) }
            for place in seed.indices {
                var octets = seed
                for octet in UInt8.min...UInt8.max {
                    octets[place] = octet
                    _ = ReaderTests.kind(octets)
                }
            }
        }
    }

    @Test func `random octets`() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let count = Int.random(in: 0..<40, using: &random)
            _ = ReaderTests.kind((0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
        }
    }

    /// A range beyond the text is cut to the text.
    @Test func `ranges of anywhere`() {
        for range in [0..<0, 5..<1000, 1000..<2000] { #expect((try? MetadataSkim(Self.seeds[0], in: range)) == nil) }
    }
}
