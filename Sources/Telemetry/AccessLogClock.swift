internal import Octets
internal import Reactor

/// Writes wall times as `2026-11-21T05:09:39.698Z`. The part before the dot changes once a second, so it is kept. For
/// its owner's thread only.
struct AccessLogClock {
    private var seconds = -1
    private var text: [UInt8] = []    // `2026-11-21T05:09:39.`

    /// Writes a time in UTC with milliseconds. Times outside of the years 1970 to 9999 are moved to the nearest of
    /// them.
    mutating func append(_ time: WallTime, to line: OctetBuffer) {
        let current = min(max(time.seconds, 0), 253_402_300_799)    // the years 1970 to 9999
        if current != seconds {
            seconds = current
            text = Self.dateAndTime(current)
        }
        text.withOctets { line.append($0) }
        let milliseconds = min(max(time.nanoseconds / 1_000_000, 0), 999)
        if milliseconds < 100 { line.append("0") }
        if milliseconds < 10 { line.append("0") }
        line.append(decimal: milliseconds)
        line.append("Z")
    }

    private static func dateAndTime(_ seconds: Int) -> [UInt8] {
        let time = seconds % 86_400
        let clock = [time / 3600, time / 60 % 60, time % 60].map { CivilDate.padded($0, 2) }.joined(separator: ":")
        return Array("\(CivilDate(seconds: seconds))T\(clock).".utf8)
    }
}
