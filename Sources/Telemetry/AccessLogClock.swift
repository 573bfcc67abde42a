internal import Octets
internal import Reactor

/// Writes wall times as `2026-11-21T05:09:39.698Z`. The part before the dot changes once a second, so it is kept. For
/// its owner's thread only.
struct AccessLogClock {
    private var seconds = -1
    private var text: [UInt8] = []    // `2026-11-21T05:09:39.`

    /// Appends a time to a line.
    mutating func append(_ time: WallTime, to line: OctetBuffer) {
        let current = min(max(time.seconds, 0), 253_402_300_799)    // the years 1970 to 9999
        if current != seconds {
            seconds = current
            text = Self.dateAndTime(current)
        }
        unsafe text.withUnsafeBytes { unsafe line.append(Octets($0)) }
        let milliseconds = min(max(time.nanoseconds / 1_000_000, 0), 999)
        if milliseconds < 100 { line.append("0") }
        if milliseconds < 10 { line.append("0") }
        line.append(decimal: milliseconds)
        line.append("Z")
    }

    /// Converts days to a date by counting in cycles of 400 years that begin on the first of March.
    /// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    private static func dateAndTime(_ seconds: Int) -> [UInt8] {
        let (days, time) = seconds.quotientAndRemainder(dividingBy: 86_400)
        let (cycle, day) = (days + 719_468).quotientAndRemainder(dividingBy: 146_097)
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365
        let dayOfYear = day - (365 * year + year / 4 - year / 100)
        let month = (5 * dayOfYear + 2) / 153    // 0 is March
        let civilMonth = month < 10 ? month + 3 : month - 9
        let civilYear = year + cycle * 400 + (civilMonth <= 2 ? 1 : 0)
        let dayOfMonth = dayOfYear - (153 * month + 2) / 5 + 1
        let parts = [
            padded(civilYear, 4), "-", padded(civilMonth, 2), "-", padded(dayOfMonth, 2), "T",
            padded(time / 3600, 2), ":", padded(time / 60 % 60, 2), ":", padded(time % 60, 2), ".",
        ]
        return Array(parts.joined().utf8)
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(width - digits.count, 0)) + digits
    }
}
