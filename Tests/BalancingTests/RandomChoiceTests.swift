import Testing

@testable import Balancing

@Suite struct `RANDOM` {
    @Test func `chooses over all endpoints, whatever their weights`() {
        for count in SomeCluster(.random, 4, weights: [9, 1, 1, 1]).picks(4000) {
            #expect((800...1200).contains(count))
        }
    }
}
