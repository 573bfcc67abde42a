import Testing

@testable import Balancing

@Suite struct `WEIGHTED_RANDOM` {
    @Test func `chooses each endpoint as often as its weight says`() {
        let counts = SomeCluster(.weightedRandom, 3, weights: [2, 1, 1]).picks(4000)
        #expect((1700...2300).contains(counts[0]))
        for count in counts.dropFirst() { #expect((800...1200).contains(count)) }
    }
}
