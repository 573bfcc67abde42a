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

    /// Each system call puts one message into the socket. Were each line a call, there would be 1,001.
    @Test func `writes lines that follow each other together`() throws {
        var ends: [CInt] = [-1, -1]
        try #require(unsafe socketpair(AF_UNIX, CInt(SOCK_SEQPACKET.rawValue), 0, &ends) == 0)
        let (reading, writing) = (ends[0], ends[1])
        defer { for descriptor in ends { close(descriptor) } }
        let writer = try LogWriter(descriptor: writing)
        submit("first\n", to: writer)
        #expect(message(reading) == "first\n")
        for number in 0..<1000 { submit("\(number)\n", to: writer) }
        #expect(writer.finish(within: .seconds(10)) && writer.dropped == 0)
        shutdown(writing, CInt(SHUT_WR))
        var messages: [String] = []
        while case let next = message(reading), !next.isEmpty { messages.append(next) }
        #expect(messages.joined() == (0..<1000).map { "\($0)\n" }.joined())
        #expect(messages.count < 100)
    }

    private func message(_ descriptor: CInt) -> String {
        var octets = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe octets.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
        return String(decoding: octets.prefix(max(count, 0)), as: UTF8.self)
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
