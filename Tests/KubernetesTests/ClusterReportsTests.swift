import Synchronization
import Testing

@testable import Kubernetes

@Suite struct `What is said of an outage` {
    private let said = Said()

    private final class Said: Sendable {
        let texts = Mutex<[String]>([])
    }

    private func moment(_ seconds: Int64) -> Moment { Moment(wall: seconds * 1000, steady: seconds * 1000) }

    /// A plugin that hangs is named after 10 s and ended after 60 s, and then runs again: both are said each time.
    @Test func `is the same reason once a minute, and another one after ten seconds`() {
        let said = said
        var reports = ClusterReports(ClusterWatch.Plan(access: .fake(443), kinds: [])) { message in
            said.texts.withLock { $0.append(message.text) }
        }
        let hangs = "the plugin has not ended"
        let times: [(Int64, String)] = [
            (10, hangs), (15, "refused"), (60, "killed"), (71, hangs), (100, hangs), (121, "killed"), (190, "killed"),
        ]
        for (second, reason) in times { reports.outage(reason, at: moment(1000 + second)) }
        let reasons = said.texts.withLock { texts in
            texts.map { text in [hangs, "refused", "killed"].first { text.contains(": \($0). Nothing of it") } ?? text }
        }
        #expect(reasons == [hangs, "killed", hangs, "killed", "killed"])
    }
}
