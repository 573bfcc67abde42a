import Octets
import Testing

@testable import HTTP

/// Each quick look beside the same asked octet by octet: every octet at every place of runs of 1 to 17.
@Suite struct `A quick look at octets` {
    private func everyRun(of filling: UInt8, _ check: (Octets, UInt8) -> Bool) -> [String] {
        var wrong: [String] = []
        for count in 1...17 {
            for place in 0..<count {
                for octet in UInt8.min...UInt8.max {
                    var run = [UInt8](repeating: filling, count: count)
                    run[place] = octet
                    let isRight = unsafe run.withUnsafeBytes { unsafe check(Octets($0), octet) }
                    if !isRight { wrong.append("\(octet) at \(place) of \(count)") }
                }
            }
        }
        return wrong
    }

    @Test func `takes visible ASCII and spaces for plain text, and nothing else`() {
        let wrong = everyRun(of: 0x61) { run, octet in run.isPlainText == (0x20...0x7e).contains(octet) }
        #expect(wrong == [])
        #expect(!Octets.empty.isPlainText)
    }

    @Test func `takes small letters, digits and dashes for a plain name, and nothing else`() {
        let wrong = everyRun(of: 0x61) { run, octet in
            let isPlain = octet.isDigit || octet == UInt8(ascii: "-") || (0x61...0x7a).contains(octet)
            return run.isPlainName == isPlain
        }
        #expect(wrong == [])
        #expect(!Octets.empty.isPlainName)
    }

    @Test func `finds the first of an octet, not that of one above 0x7f`() {
        let colon = UInt8(ascii: ":")
        #expect(everyRun(of: 0x61) { run, _ in run.nearIndex(of: colon) == run.firstIndex(of: colon) } == [])
        #expect(everyRun(of: colon) { run, _ in run.nearIndex(of: colon) == run.firstIndex(of: colon) } == [])
        #expect(everyRun(of: colon | 0x80) { run, _ in run.nearIndex(of: colon) == run.firstIndex(of: colon) } == [])
    }
}
