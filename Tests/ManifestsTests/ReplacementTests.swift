import Octets
import Patterns
import Testing

@Suite struct `A replacement of what an expression matches` {
    private func replaced(_ pattern: String, _ text: StaticString, _ with: StaticString, most: Int = 1000) throws
        -> String
    {
        let buffer = OctetBuffer(capacity: 64)
        let result = try Pattern(pattern).replaceAll(in: Octets(text), with: Octets(with), to: buffer, most: most)
        return result == .written ? buffer.octets.string : "\(result)"
    }

    @Test func `is that of RE2`() throws {
        #expect(try replaced("b+", "/abbcb", "X") == "/aXcX")
        #expect(try replaced("(\\w)(\\d)?", "a1", "\\2\\1\\0\\\\") == "1aa1\\")
        #expect(try replaced("x*", "ab", "-") == "-a-b-")
        #expect(try replaced("^a", "aaa", "") == "aa")
        #expect(try replaced("q", "abc", "") == "nothing")
        #expect(try replaced("$", "abc", "!") == "abc!")
        #expect(try replaced(".", "", "x") == "nothing" && replaced("^$", "", "x") == "x")
    }

    @Test func `is bounded`() throws {
        #expect(try replaced("a", "aaaa", "bb", most: 8) == "bbbbbbbb")
        #expect(try replaced("a", "aaaa", "bb", most: 7) == "tooCostly")
        #expect(try replaced("c", "aaaac", "", most: 3) == "tooCostly")
    }

    @Test func `names groups that are there`() throws {
        let pattern = try Pattern("(a)")
        for good in ["", "x", "\\1\\0\\\\"] { #expect(pattern.problem(inReplacement: good) == nil) }
        for bad in ["\\2", "\\", "\\x"] { #expect(pattern.problem(inReplacement: bad) != nil) }
    }
}
