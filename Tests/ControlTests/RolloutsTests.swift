import Balancing
import Reactor
import Testing

@testable import Control

@Suite struct `The report of a rollout` {
    private func cluster(_ host: String, subset: String = "") -> ClusterState {
        ClusterState(
            name: host, identity: ClusterIdentity(host: host, port: 80, subset: subset, policy: .roundRobin))
    }

    private func time(_ seconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: seconds * 1_000_000_000) }

    @Test func `comes when nothing has changed for a while, with what happened shortly before it too`() {
        var rollouts = Rollouts()
        let hello = cluster("hello")
        hello.tally.count(.lost, at: time(100).nanoseconds)    // long ago
        hello.tally.count(.replayed, at: time(195).nanoseconds)
        rollouts.changed(hello, left: 1, came: 0, at: time(200))
        hello.tally.count(.replayed, at: time(201).nanoseconds)
        rollouts.changed(hello, left: 0, came: 1, at: time(210))
        #expect(rollouts.due == time(225))
        #expect(rollouts.settle(at: time(224)).isEmpty)
        hello.tally.count(.ended, at: time(224).nanoseconds)
        let report = rollouts.settle(at: time(225)).first
        #expect(
            report?.text == "endpoints of hello have changed for 10 s, 1 left and 1 came: 0 requests lost, "
                + "2 sent again, 1 answers broken off")
        #expect(report?.isNoticed == true)
        #expect(rollouts.due == nil && rollouts.settle(at: time(500)).isEmpty)
    }

    @Test func `is one for all subsets and ports of a host, whose pods are the same`() {
        var rollouts = Rollouts()
        let clusters = ["", "v1"].map { cluster("hello", subset: $0) }
        for each in clusters {
            rollouts.changed(each, left: 3, came: 3, at: time(10))
            each.tally.count(.lost, at: time(11).nanoseconds)
        }
        let reports = rollouts.settle(at: time(100))
        #expect(reports.count == 1)
        #expect(reports.first?.left == 3 && reports.first?.counts[.lost] == 2)
        #expect(reports.first?.text.contains("preStop") == true)
    }

    @Test func `is not made of endpoints that only come`() {
        var rollouts = Rollouts()
        rollouts.changed(cluster("hello"), left: 0, came: 5, at: time(10))
        #expect(rollouts.due == nil)
    }

    @Test func `is told for so many hosts at once and no more`() {
        var rollouts = Rollouts()
        for number in 0...Rollouts.most { rollouts.changed(cluster("\(number)"), left: 1, came: 1, at: time(10)) }
        #expect(rollouts.settle(at: time(100)).count == Rollouts.most)
    }
}
