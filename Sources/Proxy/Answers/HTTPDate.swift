internal import Octets
internal import Reactor

/// The value of the `date` field, made once a second. Source: RFC 9110 §5.6.7.
struct HTTPDate {
    private var second = Int.min
    private let text = OctetBuffer(capacity: 64)

    /// Valid until the next call.
    mutating func octets(at time: WallTime) -> Octets {
        if time.seconds != second {
            second = time.seconds
            text.clear()
            write(time.seconds)
        }
        return text.octets
    }

    private func write(_ seconds: Int) {
        let days = Int((Double(seconds) / 86_400).rounded(.down))
        let rest = seconds - days * 86_400
        let (year, month, day) = Self.civil(days)
        let weekday = ((days % 7) + 11) % 7    // 1 January 1970 was a Thursday
        text.append(Octets(Self.weekdays[weekday]))
        text.append(", ")
        two(day)
        text.append(UInt8(ascii: " "))
        text.append(Octets(Self.months[month - 1]))
        text.append(UInt8(ascii: " "))
        text.append(decimal: year)
        text.append(UInt8(ascii: " "))
        two(rest / 3600)
        text.append(UInt8(ascii: ":"))
        two(rest / 60 % 60)
        text.append(UInt8(ascii: ":"))
        two(rest % 60)
        text.append(" GMT")
    }

    private func two(_ number: Int) {
        text.append(UInt8(truncatingIfNeeded: 0x30 + number / 10))
        text.append(UInt8(truncatingIfNeeded: 0x30 + number % 10))
    }

    /// Year, month and day of a day's number since 1970, by the proleptic Gregorian calendar.
    static func civil(_ days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468    // days since 1 March of year 0
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    private static let weekdays: [StaticString] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months: [StaticString] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
}
