import Reactor
import Testing

@testable import Telemetry

@Suite struct `The workers' warnings` {
    @Test func `are lines of the form of the control plane's own, without control characters of others`() throws {
        let pipe = try Pipe()
        let log = MessageLog(writer: try LogWriter("messages", descriptor: pipe.writing))
        log.warn("a\nb", at: WallTime(seconds: 1_795_237_779, nanoseconds: 0))
        log.finish()
        pipe.closeWriting()
        let text = String(decoding: pipe.readToEnd(), as: UTF8.self)
        #expect(text == "2026-11-21T05:09:39+0000 warning portico: [Proxy] a\\x0ab\n")
    }

    @Test func `drops and counts warnings while nobody reads`() throws {
        let pipe = try Pipe()
        let writer = try LogWriter("messages", descriptor: pipe.writing, limitOctets: 10_000)
        let log = MessageLog(writer: writer)
        let text = String(repeating: "x", count: 1_000)
        for _ in 0..<200 { log.warn(text, at: WallTime(seconds: 0, nanoseconds: 0)) }
        let dropped = writer.dropped
        #expect(dropped > 0)
        let page = Metrics(version: "", messageWriter: writer).render()
        #expect(page.contains("\nportico_messages_dropped_total \(dropped)\n"))
        // How much was dropped depends on the writer's thread, and so does how much is in the pipe.
        let deadline = MonotonicTime.now() + .seconds(60)
        while !writer.finish(within: .milliseconds(5)), .now() < deadline { pipe.empty() }
        #expect(writer.finish(within: .zero), "its thread must not outlive the pipe, whose number others get")
    }
}
