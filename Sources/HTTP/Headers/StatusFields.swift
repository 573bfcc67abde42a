internal import Octets

extension HeaderBlock {
    /// The response's `:status`; nil when it is absent or not three digits. Source: RFC 9110 §15.
    package var statusCode: Int? {
        guard let text = first(.status), text.count == 3 else { return nil }
        if text == "200" { return 200 }
        return Self.number(text)
    }

    /// The call's `grpc-status`; nil when it is absent or not one to three digits.
    /// Source: grpc/grpc doc/PROTOCOL-HTTP2.md, Status.
    package var grpcStatusCode: Int? {
        guard let text = first(.grpcStatus), (1...3).contains(text.count) else { return nil }
        if text == "0" { return 0 }
        return Self.number(text)
    }

    private static func number(_ digits: Octets) -> Int? {
        var value = 0
        for index in 0..<digits.count {
            guard digits[index].isDigit else { return nil }
            value = value * 10 + Int(digits[index] - 0x30)
        }
        return value
    }
}
