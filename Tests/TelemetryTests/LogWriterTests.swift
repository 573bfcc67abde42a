import Glibc
import Octets
import Telemetry
import Testing

@Suite struct `The log writer` {
    private func submit(_ text: String, to writer: LogWriter, lines: Int = 1) {
        let octets = Array(text.utf8)
        unsafe octets.withUnsafeBytes { unsafe writer.submit(Octets($0), lines: lines) }
    }

    /// A pipe holds 64 KiB; of what nobody reads the writer keeps `limitOctets` more.
    @Test func `drops and counts lines while nobody reads, and never waits`() throws {
        let pipe = try Pipe()
        let writer = try LogWriter(descriptor: pipe.writing, limitOctets: 100_000)
        let line = String(repeating: "x", count: 999) + "\n"
        for _ in 0..<1000 { submit(line, to: writer) }
        let dropped = writer.dropped
        #expect(dropped >= 1000 - 166 - 2 && dropped <= 900)
        let kept = 1000 - Int(dropped)
        #expect(pipe.read(kept * 1000).count == kept * 1000)
        #expect(writer.finish(within: .seconds(10)))
        #expect(writer.dropped == dropped)
        pipe.closeWriting()
        #expect(pipe.readToEnd().isEmpty)
    }

    @Test func `gives up at shutdown when nobody reads`() throws {
        let pipe = try Pipe()
        let writer = try LogWriter(descriptor: pipe.writing)
        submit(String(repeating: "x", count: 200_000), to: writer)
        #expect(!writer.finish(within: .milliseconds(20)))
        _ = pipe.read(200_000)    // lets the thread end before the pipe goes
        #expect(writer.finish(within: .seconds(10)))
    }

    @Test func `waits for a descriptor that does not block`() throws {
        let pipe = try Pipe()
        pipe.makeNonBlocking()
        let writer = try LogWriter(descriptor: pipe.writing)
        submit(String(repeating: "x", count: 300_000), to: writer)
        #expect(pipe.read(300_000).count == 300_000)
        #expect(writer.finish(within: .seconds(10)))
        #expect(writer.dropped == 0)
    }

    @Test func `counts what a broken descriptor loses, and what comes after the end`() throws {
        let writer = try LogWriter(descriptor: -1)
        submit("a\nb\n", to: writer, lines: 2)
        #expect(writer.finish(within: .seconds(10)))
        #expect(writer.dropped == 2)
        submit("c\n", to: writer)
        #expect(writer.dropped == 3)
    }
}
