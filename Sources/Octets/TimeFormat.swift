/// Points in time as text, in UTC: text with some of the directives of strftime, and Envoy's for fractions of a second.
/// Source: envoyproxy/envoy docs/root/configuration/observability/access_log/usage.rst, START_TIME.
package enum TimeFormat {
    /// RFC 3339 with milliseconds: `2026-11-26T21:00:00.123Z`.
    package static let usual = "%Y-%m-%dT%H:%M:%S.%3fZ"
    /// The directives that `write` knows.
    package static let directives = "%Y %m %d %H %M %S %F %T %s %f %1f to %9f %z %Z %%"

    /// Whether a text has only directives that `write` knows.
    package static func isFormat(_ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        while let percent = rest.firstIndex(of: UInt8(ascii: "%")) {
            rest = rest[(percent + 1)...]
            guard let letter = rest.popFirst() else { return false }
            if (UInt8(ascii: "1")...UInt8(ascii: "9")).contains(letter) {
                guard rest.popFirst() == UInt8(ascii: "f") else { return false }
            } else if !"YmdHMSFTsfzZ%".utf8.contains(letter) {
                return false
            }
        }
        return true
    }

    /// Writes a time.
    /// - Parameters:
    ///   - format: one that was checked; an unknown directive is left out.
    ///   - seconds: since 1970, UTC.
    ///   - nanoseconds: of that second.
    package static func write(_ format: Octets, seconds: Int, nanoseconds: Int, to buffer: OctetBuffer) {
        var index = 0
        while index < format.count {
            let octet = format[index]
            index += 1
            guard octet == UInt8(ascii: "%"), index < format.count else {
                buffer.append(octet)
                continue
            }
            let letter = format[index]
            index += 1
            if letter.isDigit, index < format.count {
                index += 1
                fraction(nanoseconds, digits: Int(letter - 0x30), to: buffer)
            } else {
                write(directive: letter, seconds, nanoseconds, to: buffer)
            }
        }
    }

    private static func write(directive: UInt8, _ seconds: Int, _ nanoseconds: Int, to buffer: OctetBuffer) {
        let (day, second) = (CivilDate(seconds: seconds), ((seconds % 86_400) + 86_400) % 86_400)
        switch directive {
        case UInt8(ascii: "Y"): padded(day.year, 4, to: buffer)
        case UInt8(ascii: "m"): padded(day.month, 2, to: buffer)
        case UInt8(ascii: "d"): padded(day.day, 2, to: buffer)
        case UInt8(ascii: "H"): padded(second / 3600, 2, to: buffer)
        case UInt8(ascii: "M"): padded(second / 60 % 60, 2, to: buffer)
        case UInt8(ascii: "S"): padded(second % 60, 2, to: buffer)
        case UInt8(ascii: "F"): write("%Y-%m-%d", seconds: seconds, nanoseconds: nanoseconds, to: buffer)
        case UInt8(ascii: "T"): write("%H:%M:%S", seconds: seconds, nanoseconds: nanoseconds, to: buffer)
        case UInt8(ascii: "s"): buffer.append(decimal: seconds)
        case UInt8(ascii: "f"): fraction(nanoseconds, digits: 9, to: buffer)
        case UInt8(ascii: "z"): buffer.append("+0000" as Octets)
        case UInt8(ascii: "Z"): buffer.append("UTC" as Octets)
        case UInt8(ascii: "%"): buffer.append(directive)
        default: break
        }
    }

    private static func fraction(_ nanoseconds: Int, digits: Int, to buffer: OctetBuffer) {
        var unit = 1_000_000_000
        for _ in 0..<digits { unit /= 10 }
        padded(nanoseconds / max(unit, 1), digits, to: buffer)
    }

    private static func padded(_ number: Int, _ width: Int, to buffer: OctetBuffer) {
        var least = 1
        for _ in 1..<max(width, 1) { least *= 10 }
        while least > 1, number < least {
            buffer.append(UInt8(ascii: "0"))
            least /= 10
        }
        buffer.append(decimal: number)
    }
}
