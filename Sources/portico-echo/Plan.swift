internal import HTTP
internal import Octets

/// What a request asks of the echo server besides its method, in header fields (in gRPC: metadata) whose names begin
/// with `echo-`. A value that cannot be read is answered with an error and never ignored.
struct Plan {
    enum Kind { case greeter, grpc, plain }

    /// The service that the request asks for.
    let kind: Kind
    private(set) var sleep: Duration?    // echo-sleep: wait before answering
    private(set) var status: Int?    // echo-status: gRPC status, or HTTP status of a plain request
    private(set) var message = ""    // echo-message: the grpc-message beside it
    private(set) var copies: Int?    // echo-stream: the number of copies of the first message
    private(set) var size = 0    // echo-size: each reply is padded to this many octets
    private(set) var returnsHeaders = false    // echo-headers
    private(set) var resetCode: UInt32?    // echo-reset: RST_STREAM with that code
    private(set) var goesAway = false    // echo-goaway: GOAWAY before the answer
    private(set) var problem: String?    // a steering header that cannot be read

    /// The longest sleep: a day. A longer one is a mistake.
    static let longestSleep: Duration = .seconds(86_400)
    static let largestReply = 1 << 31

    init(_ headers: HeaderBlock) {
        if GRPC.isGRPC(contentType: headers.first(.contentType) ?? .empty) {
            let isGreeting = headers.first(.path) == "/helloworld.Greeter/SayHello"
            kind = isGreeting ? .greeter : .grpc
        } else {
            kind = .plain
        }
        for field in headers.fields where field.name.hasPrefix("echo-") { read(field) }
    }

    private mutating func read(_ field: HeaderField) {
        let value = field.value
        var isReadable = true
        switch field.name.dropFirst(5) {
        case "sleep":
            sleep = Self.duration(value)
            isReadable = sleep != nil
        case "status":
            let allowed = kind == .plain ? 200...599 : 0...16
            status = Self.number(value, most: 599).flatMap { allowed.contains($0) ? $0 : nil }
            isReadable = status != nil
        case "message": message = value.string
        case "stream":
            copies = Self.number(value, most: 1_000_000_000)
            isReadable = copies != nil
        case "size":
            let wanted = Self.number(value, most: Self.largestReply - 1)
            size = wanted ?? 0
            isReadable = wanted != nil
        case "headers": returnsHeaders = true
        case "reset":
            resetCode = Self.number(value, most: Int(UInt32.max)).map { UInt32($0) }
            isReadable = resetCode != nil
        case "goaway": goesAway = true
        default: break    // a header that is not for this server
        }
        if !isReadable { problem = "\(field.name.string): '\(value.string)' cannot be read" }
    }

    /// Reads decimal digits; nil for anything else, and for a number above `most`.
    static func number(_ text: Octets, most: Int) -> Int? {
        guard (1...18).contains(text.count) else { return nil }
        var number = 0
        for index in 0..<text.count {
            guard text[index].isDigit else { return nil }
            number = number * 10 + Int(text[index] - 0x30)
        }
        return number <= most ? number : nil
    }

    /// Reads `6s`, `250ms` or `1m`; nil for anything else, and for more than a day.
    static func duration(_ text: Octets) -> Duration? {
        var digits = 0
        while digits < text.count, text[digits].isDigit { digits += 1 }
        guard let amount = number(text.prefix(digits), most: 86_400_000) else { return nil }
        let duration: Duration
        switch text.dropFirst(digits) {
        case "ms": duration = .milliseconds(amount)
        case "s": duration = .seconds(amount)
        case "m": duration = .seconds(amount * 60)
        default: return nil
        }
        return duration <= longestSleep ? duration : nil
    }
}
