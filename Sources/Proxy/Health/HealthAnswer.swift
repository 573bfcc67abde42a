internal import Balancing
internal import HTTP
internal import Octets

/// Judges what an endpoint answers to a check. It knows no connection.
/// Source: envoyproxy/envoy source/extensions/health_checkers/; grpc/grpc doc/health-checking.md.
struct HealthAnswer {
    private let policy: HealthCheckPolicy
    private var interim = 0
    private var isBegun = false
    private var message: [UInt8] = []    // of a gRPC answer

    /// Octets of a gRPC answer's message; a HealthCheckResponse has 2.
    private static let mostOctets = 1024

    init(_ policy: HealthCheckPolicy) { self.policy = policy }

    /// A header section has come.
    /// - Returns: the verdict; nil until it is known.
    mutating func headers(_ block: HeaderBlock, isEnd: Bool) -> HealthVerdict? {
        guard let status = block.statusCode else { return .failed("the answer has no status") }
        guard status >= 200 else {
            interim += 1
            return interim > HTTP1Limits.mostInterimResponses ? .failed("too many interim answers") : nil
        }
        if policy.method == .grpc { return grpcHeaders(block, status, isEnd: isEnd) }
        return policy.statuses.contains { $0.contains(status) }
            ? .passed : .refused("GET \(policy.path) was answered \(status)")
    }

    private mutating func grpcHeaders(_ block: HeaderBlock, _ status: Int, isEnd: Bool) -> HealthVerdict? {
        guard status == 200 else { return .refused("the call was answered with the HTTP status \(status)") }
        isBegun = true
        return isEnd ? trailers(block) : nil
    }

    /// Octets of the body have come.
    mutating func data(_ octets: Octets) -> HealthVerdict? {
        guard isBegun else { return nil }
        guard message.count + octets.count <= Self.mostOctets else { return .refused("the answer is too long") }
        for index in 0..<octets.count { message.append(octets[index]) }
        return nil
    }

    /// The end of a gRPC answer has come, with trailers or without.
    func trailers(_ block: HeaderBlock?) -> HealthVerdict {
        guard let code = block?.grpcStatusCode else { return .refused("the answer has no grpc-status") }
        let name = policy.service.isEmpty ? "" : " of \(policy.service)"
        switch code {
        case 0: return Self.verdict(message)
        case 5: return .refused("the server knows no health\(name) (grpc-status 5)")
        case 12: return .refused("the server has no grpc.health.v1.Health (grpc-status 12)")
        default: return .refused("the call was answered with grpc-status \(code)")
        }
    }

    // MARK: the message

    private static let none = HealthVerdict.refused("the answer is no HealthCheckResponse")

    /// What a message with its prefix says.
    static func verdict(_ octets: [UInt8]) -> HealthVerdict {
        guard octets.count >= 5, octets[0] == 0 else { return none }
        let length = octets[1..<5].reduce(0) { $0 << 8 | Int($1) }
        guard length == octets.count - 5 else { return none }
        var reader = ProtobufReader(octets[5...])
        var status: UInt64 = 0
        while !reader.isAtEnd {
            guard let field = reader.next() else { return none }
            if field.number == 1, let value = field.value { status = value }
        }
        switch status {
        case 1: return .passed
        case 0: return .refused("the server says UNKNOWN")
        case 2: return .refused("the server says NOT_SERVING")
        case 3: return .refused("the server says SERVICE_UNKNOWN")
        default: return none
        }
    }

    /// A HealthCheckRequest with its prefix.
    static func request(service: String) -> [UInt8] {
        let name = Array(service.utf8)
        var body: [UInt8] = []
        if !name.isEmpty {
            body.append(0x0a)
            var rest = name.count
            while rest > 0x7f {
                body.append(UInt8(truncatingIfNeeded: rest) | 0x80)
                rest >>= 7
            }
            body.append(UInt8(truncatingIfNeeded: rest))    // below 0x80
            body += name
        }
        return [0] + stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: body.count >> $0) } + body
    }
}

/// The fields of a message of Protocol Buffers. Source: https://protobuf.dev/programming-guides/encoding/.
private struct ProtobufReader {
    private var rest: ArraySlice<UInt8>

    init(_ octets: ArraySlice<UInt8>) { rest = octets }

    var isAtEnd: Bool { rest.isEmpty }

    /// The next field; `value` is that of a varint.
    /// - Returns: nil if there is none that can be read.
    mutating func next() -> (number: UInt64, value: UInt64?)? {
        guard let tag = varint(), tag >> 3 > 0 else { return nil }
        switch tag & 7 {
        case 0: return varint().map { (tag >> 3, $0) }
        case 1: return skip(8) ? (tag >> 3, nil) : nil
        case 2:
            guard let length = varint(), length <= UInt64(rest.count), skip(Int(length)) else { return nil }
            return (tag >> 3, nil)
        case 5: return skip(4) ? (tag >> 3, nil) : nil
        default: return nil
        }
    }

    private mutating func skip(_ count: Int) -> Bool {
        guard count <= rest.count else { return false }
        rest.removeFirst(count)
        return true
    }

    private mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        for place in 0..<10 {
            guard let octet = rest.popFirst() else { return nil }
            value |= UInt64(octet & 0x7f) << UInt64(place * 7)
            if octet < 0x80 { return value }
        }
        return nil
    }
}
