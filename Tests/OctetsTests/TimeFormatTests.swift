import Octets
import Testing

@Suite struct `A format of time` {
    private func written(_ format: StaticString, _ seconds: Int = 1_766_745_296, _ nanoseconds: Int = 7_012_000)
        -> String
    {
        let buffer = OctetBuffer(capacity: 64)
        TimeFormat.write(Octets(format), seconds: seconds, nanoseconds: nanoseconds, to: buffer)
        return buffer.octets.string
    }

    @Test func `writes each directive`() {
        #expect(written("%Y-%m-%dT%H:%M:%S.%3fZ") == "2025-12-26T10:34:56.007Z")
        #expect(written("%F %T %z %Z") == "2025-12-26 10:34:56 +0000 UTC")
        #expect(written("t=%s.%6f|%f|%1f|%%") == "t=1766745296.007012|007012000|0|%")
        #expect(written("%s", -1) == "-1" && written("%T", -1) == "23:59:59")
        #expect(written("%Q%") == "%" && written("%3") == "")
    }

    @Test func `is checked`() {
        for good in ["", "x", "%Y", "%9f", "%%", "%s.%3f", TimeFormat.usual] { #expect(TimeFormat.isFormat(good)) }
        for bad in ["%", "%Q", "%0f", "%3", "%3x", "a%"] { #expect(!TimeFormat.isFormat(bad)) }
    }
}
