import Octets
import Testing

@testable import Kubernetes

@Suite struct `Lines of a watch` {
    private func feed(_ splitter: inout LineSplitter, _ octets: [UInt8], _ lines: inout [[UInt8]]) -> Bool {
        var found = lines
        let isGood = unsafe octets.withUnsafeBytes { buffer in
            unsafe splitter.feed(Octets(buffer)) {
                found.append($0)
                return true
            }
        }
        lines = found
        return isGood
    }

    @Test func `come out whole, however they are cut`() {
        let text = Array("one\n\ntwo\r\n\nthree and more\nrest".utf8)
        for size in 1...text.count {
            var splitter = LineSplitter()
            var lines: [[UInt8]] = []
            for start in stride(from: 0, to: text.count, by: size) {
                #expect(feed(&splitter, Array(text[start..<min(start + size, text.count)]), &lines))
            }
            #expect(lines.map { String(decoding: $0, as: UTF8.self) } == ["one", "two\r", "three and more"])
            #expect(splitter.isWithinLine)
        }
    }

    @Test func `are no longer than the limit`() {
        for length in [9, 10, 11] {
            let line = [UInt8](repeating: 0x61, count: length)
            for octets in [line, line + [0x0A]] {
                var splitter = LineSplitter(limit: 10)
                var lines: [[UInt8]] = []
                #expect(feed(&splitter, octets, &lines) == (length <= 10))
                var pieces = LineSplitter(limit: 10)
                #expect(octets.allSatisfy { feed(&pieces, [$0], &lines) } == (length <= 10))
            }
        }
    }

    @Test func `of hostile octets are events or are refused, and never trap`() {
        let seeds = [
            #"{"type":"ADDED","object":{"metadata":{"name":"n","resourceVersion":"9"}}}"#,
            #"{"type":"ERROR","object":{"kind":"Status","code":410,"details":{"retryAfterSeconds":1}}}"#,
            #"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}}}"#,
        ]
        var random: UInt64 = 3
        func draw(_ limit: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(random >> 33) % limit
        }
        for round in 0..<3000 {
            var line = Array(seeds[round % seeds.count].utf8)
            for _ in 0...draw(3) {
                if draw(2) == 0 {
                    line[draw(line.count)] = UInt8(draw(256))
                } else {
                    line.removeLast(draw(line.count / 2))
                }
            }
            var play = Play(streams: round % 2 == 0)
            if round % 2 == 1 { play.becomeCurrent() } else { play.send(.opened) }
            play.send(.line(line))
            play.answer([200, 404, 410, 504][draw(4)], String(decoding: line, as: UTF8.self), retryAfter: draw(9) - 4)
        }
    }
}
