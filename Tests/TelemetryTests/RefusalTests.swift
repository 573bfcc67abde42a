import Foundation
import HTTP
import TLS
import Testing

@testable import Telemetry

@Suite struct `The list of refusals` {
    @Test func `has every reason once, in its place`() {
        for (place, refusal) in Refusal.all.enumerated() { #expect(refusal.index == place, "\(refusal)") }
        #expect(Set(Refusal.all.map(\.name)).count == Refusal.all.count)
    }

    @Test func `has words for people, and a source where a standard has the rule`() {
        for refusal in Refusal.all {
            #expect(!refusal.sentence.isEmpty && !refusal.sentence.hasSuffix("."), "\(refusal)")
            if refusal.isOfHTTP { #expect(refusal.sentence.contains("(RFC "), "\(refusal)") }
            #expect(!refusal.name.contains(" ") && !refusal.details("").contains(" "), "\(refusal)")
        }
    }

    /// The reasons are labels that alerts are written for.
    @Test func `is documented`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "docs/metrics.md"), encoding: .utf8)
        for refusal in Refusal.all where refusal != .connection(.acceptFailed) {
            #expect(text.contains("`\(refusal.name)`"), "\(refusal.name) is not in docs/metrics.md")
        }
    }
}

@Suite struct `The lines of refusals` {
    @Test func `are few of each kind in a second, and the rest is summed up`() {
        var sampler = RefusalSampler()
        let flood = Refusal.handshake(.closed)
        let admitted = (0..<1000).filter { _ in sampler.admits(flood, at: 7) }.count
        #expect(admitted == Int(RefusalSampler.linesPerSecond))
        let isOtherAdmitted = sampler.admits(.http2(.path), at: 7)
        #expect(isOtherAdmitted, "a flood hides another kind")
        #expect(sampler.isSuppressing)
        let summary = sampler.summary()
        #expect(summary == "refused within a second and not logged one by one: closed 990")
        #expect(!sampler.isSuppressing)
        let isAdmittedLater = sampler.admits(flood, at: 8)
        #expect(isAdmittedLater)
    }
}
