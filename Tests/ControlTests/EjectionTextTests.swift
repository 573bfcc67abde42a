import Balancing
import Testing

@testable import Control

@Suite struct `Lines on standard error about ejections` {
    @Test func `are twenty at a time, and one line says how many more there were`() {
        let events = (1...30).map { (cluster: "a", event: OutlierEvent.returned(endpoint: "10.0.0.\($0):80")) }
        let lines = EjectionText.lines(of: events + [("b", .omitted(7))])
        #expect(lines.count == 21 && lines[0] == "a: endpoint 10.0.0.1:80 is used again")
        #expect(lines[20] == "17 more endpoints were ejected or came back at the same time")
        #expect(EjectionText.lines(of: Array(events.prefix(20))).count == 20)
    }
}
