import Testing

@testable import Balancing

@Suite struct `LEAST_REQUEST` {
    @Test func `prefers the least busy endpoint`() {
        let three = SomeCluster(.leastRequest, 3)
        three.occupy(0, 5)
        three.occupy(2, 2)
        #expect(three.picks(50) == [0, 50, 0])
    }

    @Test func `leaves the turn to an endpoint that is hardly busier`() {
        let two = SomeCluster(.leastRequest, 2)
        two.occupy(0, 1)
        #expect(two.picks(100) == [50, 50])
    }
}
