import Balancing
import Testing

@testable import Control
@testable import Proxy

@Suite struct `Lines on standard error about endpoints` {
    @Test func `are twenty ejections at a time, and one line says how many more there were`() {
        let events = (1...30).map { (cluster: "a", event: OutlierEvent.returned(endpoint: "10.0.0.\($0):80")) }
        let lines = EjectionText.lines(of: events + [("b", .omitted(7))])
        #expect(lines.count == 21 && lines[0] == "a: endpoint 10.0.0.1:80 is used again")
        #expect(lines[20] == "17 more endpoints were ejected or came back at the same time")
        #expect(EjectionText.lines(of: Array(events.prefix(20))).count == 20)
    }

    @Test func `are twenty changes of health at a time, and one line says how many more there were`() {
        let numbers = EndpointNumbers()
        let policy = HealthCheckPolicy(method: .tcp)
        let changes = (1...25 as ClosedRange<UInt16>).map { port in
            let endpoint = EndpointState(address: .ip("10.0.0.1", port: port), numbers: numbers)
            var record = HealthRecord()
            _ = record.note(.refused("no answer"), policy)
            return (service: "a", news: HealthNews(endpoint: endpoint, record: record))
        }
        let lines = HealthText.lines(of: changes)
        #expect(lines.count == 21 && lines[0] == "a: endpoint 10.0.0.1:1 fails its health check: no answer")
        #expect(lines[20] == "the health of 5 more endpoints has changed at the same time")
        #expect(HealthText.lines(of: Array(changes.prefix(20))).count == 20)
    }
}
