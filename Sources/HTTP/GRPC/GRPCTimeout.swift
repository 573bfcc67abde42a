package import Octets

/// A `grpc-timeout`: one to eight digits, then one unit letter.
/// Source: grpc/grpc doc/PROTOCOL-HTTP2.md, Requests.
package struct GRPCTimeout: Equatable, Sendable {
    /// 0 to 99,999,999.
    package let amount: Int64
    package let unit: Unit

    /// `TimeoutUnit`, by the octet that stands for it.
    package enum Unit: UInt8, Sendable, CaseIterable {
        case hours = 0x48
        case minutes = 0x4d
        case seconds = 0x53
        case milliseconds = 0x6d
        case microseconds = 0x75
        case nanoseconds = 0x6e

        fileprivate var nanoseconds: Int64 {
            switch self {
            case .hours: 3_600_000_000_000
            case .minutes: 60_000_000_000
            case .seconds: 1_000_000_000
            case .milliseconds: 1_000_000
            case .microseconds: 1_000
            case .nanoseconds: 1
            }
        }
    }

    private static let most: Int64 = 99_999_999

    /// Reads a header's value; nil for anything malformed, which then counts as absent.
    package init?(_ value: Octets) {
        guard (2...9).contains(value.count), let unit = Unit(rawValue: value[value.count - 1])
        else { return nil }
        var amount: Int64 = 0
        for index in 0..<(value.count - 1) {
            guard value[index].isDigit else { return nil }
            amount = amount * 10 + Int64(value[index] - 0x30)
        }
        self.amount = amount
        self.unit = unit
    }

    /// What is left of a deadline, rounded down to milliseconds where eight digits hold them. It is never
    /// 0, also of a deadline that has passed: a server may read 0 as "no deadline".
    package init(remaining: Duration) {
        let (seconds, attoseconds) = remaining.components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carries) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
        guard seconds >= 0, attoseconds >= 0 else {
            (amount, unit) = (1, .nanoseconds)
            return
        }
        let nanoseconds = max(overflow || carries ? .max : sum, 1)
        unit = Self.unit(for: nanoseconds)
        amount = min(nanoseconds / unit.nanoseconds, Self.most)
    }

    private static func unit(for nanoseconds: Int64) -> Unit {
        if nanoseconds < 1_000 { return .nanoseconds }
        if nanoseconds < 1_000_000 { return .microseconds }
        for unit in [Unit.milliseconds, .seconds, .minutes]
        where nanoseconds / unit.nanoseconds <= most { return unit }
        return .hours
    }

    /// 99,999,999 hours fit into a `Duration` a million times over.
    package var duration: Duration {
        switch unit {
        case .hours: .seconds(amount * 3600)
        case .minutes: .seconds(amount * 60)
        case .seconds: .seconds(amount)
        case .milliseconds: .milliseconds(amount)
        case .microseconds: .microseconds(amount)
        case .nanoseconds: .nanoseconds(amount)
        }
    }

    /// Adds the field `grpc-timeout` to a header block.
    package func append(to headers: HeaderBlock) {
        withOctets { headers.append("grpc-timeout", $0) }
    }

    /// Appends the value of a `grpc-timeout` field.
    package func write(to output: OctetBuffer) {
        withOctets { output.append($0) }
    }

    private func withOctets(_ body: (Octets) -> Void) {
        var text = (0 as UInt64, 0 as UInt64)    // sixteen octets on the stack; nine are used
        unsafe withUnsafeMutableBytes(of: &text) { room in
            var index = room.count - 1
            unsafe room[index] = unit.rawValue
            var rest = amount
            repeat {
                index -= 1
                unsafe room[index] = UInt8(truncatingIfNeeded: rest % 10) + 0x30
                rest /= 10
            } while rest > 0
            unsafe body(Octets(UnsafeRawBufferPointer(rebasing: room[index...])))
        }
    }
}
