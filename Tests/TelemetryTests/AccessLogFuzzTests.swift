import Octets
import Telemetry
import Reactor
import Testing

/// Octets without sense in each field that a peer writes: a line stays a line, an object an object.
@Suite struct `The access log under hostile octets` {
    private struct Dice {
        var state: UInt64
        mutating func next(_ limit: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(limit))
        }

        /// Pieces that stand at the borders of UTF-8, JSON and lines, mixed with anything.
        mutating func octets() -> [UInt8] {
            let pieces: [[UInt8]] = [
                [0x22], [0x5c], [0x0a], [0x0d], [0x00], [0x7f], [0xc2, 0x85], [0xc3, 0xa9], [0xe2, 0x80, 0xa8],
                [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0xa6, 0x86], [0xf0, 0x80, 0x80, 0x80], [0xf4, 0x90], [0xc0],
                [0xff], [0x80], Array("a b".utf8), Array("\",\"x\":\"".utf8), Array("\\u00".utf8),
            ]
            return (0..<next(12)).flatMap { _ in
                next(3) == 0 ? [UInt8(next(256))] : pieces[next(pieces.count)]
            }
        }
    }

    /// One line for each of the rounds, as the descriptor got them.
    private func lines(_ format: AccessLogFormat, rounds: Int) throws -> [[UInt8]] {
        var dice = Dice(state: 0x5eed)
        let pipe = try Pipe()
        pipe.widen()
        let writer = try LogWriter(descriptor: pipe.writing)
        let logger = AccessLogger(format: format, writer: writer)
        for _ in 0..<rounds {
            let fields = (0..<7).map { _ in dice.octets() }
            unsafe fields[0].withUnsafeBytes { path in
                unsafe fields[1].withUnsafeBytes { agent in
                    unsafe fields[2].withUnsafeBytes { authority in
                        var record = AccessLogEntry(start: WallTime(seconds: 0, nanoseconds: 0))
                        unsafe record.path = Octets(path)
                        unsafe record.method = Octets(path)
                        unsafe record.userAgent = Octets(agent)
                        unsafe record.forwardedFor = Octets(agent)
                        unsafe record.authority = Octets(authority)
                        unsafe record.requestID = Octets(authority)
                        record.serverName = String(decoding: fields[3], as: UTF8.self)
                        record.routeName = String(decoding: fields[4], as: UTF8.self)
                        logger.log(record)
                    }
                }
            }
        }
        logger.endTurn()
        #expect(writer.finish(within: .seconds(10)))
        pipe.closeWriting()
        return pipe.readToEnd().split(separator: 0x0a, omittingEmptySubsequences: false).map { Array($0) }
    }

    @Test(arguments: [AccessLogFormat.text, .json])
    func `has one line of clean UTF-8 for each request`(format: AccessLogFormat) throws {
        let lines = try lines(format, rounds: 600)
        #expect(lines.count == 601 && lines.last == [])
        for line in lines {
            let text = try #require(String(validating: line, as: UTF8.self))
            #expect(!text.unicodeScalars.contains { $0.properties.generalCategory == .control }, "\(text)")
            #expect(!text.unicodeScalars.contains("\u{2028}"))
        }
    }

    @Test func `has the same columns in each line of text`() throws {
        for line in try lines(.text, rounds: 600).dropLast() {
            #expect(Self.columns(line) == 22, "\(String(decoding: line, as: UTF8.self))")
        }
    }

    @Test func `has the same members in each object`() throws {
        for line in try lines(.json, rounds: 600).dropLast() {
            let (strings, skeleton) = Self.taken(apart: line)
            #expect(strings != nil, "\(String(decoding: line, as: UTF8.self))")
            #expect(skeleton.hasPrefix("{s:") && skeleton.hasSuffix("}"))
            #expect(skeleton.split(separator: ",").count == 25, "\(skeleton)")
        }
    }

    /// Columns are divided by spaces outside quotes.
    private static func columns(_ line: [UInt8]) -> Int {
        var (columns, isQuoted, isEscaped) = (1, false, false)
        for octet in line {
            if isEscaped {
                isEscaped = false
                continue
            }
            switch octet {
            case 0x5c: isEscaped = true
            case 0x22: isQuoted.toggle()
            case 0x20 where !isQuoted: columns += 1
            default: break
            }
        }
        return columns
    }

    /// An object with each string replaced by `s`; nil when an escape in a string is not JSON's.
    private static func taken(apart line: [UInt8]) -> (strings: Int?, skeleton: String) {
        var skeleton: [UInt8] = []
        var strings = 0
        var index = 0
        while index < line.count {
            guard line[index] == 0x22 else {
                skeleton.append(line[index])
                index += 1
                continue
            }
            index += 1
            while index < line.count, line[index] != 0x22 {
                guard line[index] == 0x5c else {
                    index += 1
                    continue
                }
                let escape = line[(index + 1)..<min(index + 6, line.count)]
                let digits = String(decoding: escape.dropFirst(), as: UTF8.self)
                let isUnicode = escape.first == UInt8(ascii: "u") && UInt16(digits, radix: 16) != nil
                guard isUnicode || escape.first == 0x22 || escape.first == 0x5c else { return (nil, "") }
                index += isUnicode ? 6 : 2
            }
            index += 1
            strings += 1
            skeleton.append(UInt8(ascii: "s"))
        }
        return (strings, String(decoding: skeleton, as: UTF8.self))
    }
}
