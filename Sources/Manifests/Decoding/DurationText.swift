extension Duration {
    /// Reads a duration in Go's form: `5s`, `1.5s`, `1h30m`, `100ms`. nil if the text is not one, or if it is too long
    /// to be counted in nanoseconds.
    package init?(goText text: String) {
        var octets = Array(text.utf8)[...]
        if octets.elementsEqual("0".utf8) {
            self = .zero
            return
        }
        var isNegative = false
        if let first = octets.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "+") {
            isNegative = first == UInt8(ascii: "-")
            octets.removeFirst()
        }
        guard !octets.isEmpty else { return nil }
        var total: Int64 = 0
        while !octets.isEmpty {
            guard let part = Self.takePart(&octets) else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(part)
            if overflow { return nil }
            total = sum
        }
        self = .nanoseconds(isNegative ? -total : total)
    }

    /// Takes one number with its unit, such as `1.5h`, in nanoseconds.
    private static func takePart(_ octets: inout ArraySlice<UInt8>) -> Int64? {
        let number = octets.prefix { ($0 >= 0x30 && $0 <= 0x39) || $0 == UInt8(ascii: ".") }
        octets.removeFirst(number.count)
        let unit = octets.prefix { !($0 >= 0x30 && $0 <= 0x39) && $0 != UInt8(ascii: ".") }
        octets.removeFirst(unit.count)
        let scale: Int64
        switch String(decoding: unit, as: UTF8.self) {
        case "ns": scale = 1
        case "us", "µs", "μs": scale = 1_000
        case "ms": scale = 1_000_000
        case "s": scale = 1_000_000_000
        case "m": scale = 60_000_000_000
        case "h": scale = 3_600_000_000_000
        default: return nil
        }
        return scaled(number, by: scale)
    }

    private static func scaled(_ number: ArraySlice<UInt8>, by scale: Int64) -> Int64? {
        let parts = number.split(
            separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        guard number.count <= 40, let whole = parts.first,
            whole.count + (parts.last?.count ?? 0) > 0
        else { return nil }
        var total: Int64 = 0
        if !whole.isEmpty {
            guard let value = Int64(String(decoding: whole, as: UTF8.self)) else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: scale)
            if overflow { return nil }
            total = product
        }
        guard parts.count == 2 else { return total }
        var unit = scale
        for digit in parts[1] {
            guard digit >= 0x30, digit <= 0x39 else { return nil }
            unit /= 10
            let (sum, overflow) = total.addingReportingOverflow(Int64(digit - 0x30) * unit)
            if overflow { return nil }
            total = sum
        }
        return total
    }
}
