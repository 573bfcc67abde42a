import HTTP
import Octets

/// What a parser said about some octets, in a form that can be compared: body parts are joined.
enum Happening: Equatable {
    case head(HTTP1Head, [String])
    case body([UInt8])
    case end
    case error(HTTP1Error)
}

/// Plays the caller of `HTTP1Parser`: keeps what was not consumed and comes back with more.
struct HTTP1Reading {
    var parser: HTTP1Parser
    /// The methods of the requests that the responses answer, first one first.
    var methods: [String] = []
    private(set) var happenings: [Happening] = []
    private(set) var pending: [UInt8] = []
    private(set) var failed = false
    private let headers = HeaderBlock()

    init(_ parser: HTTP1Parser) { self.parser = parser }

    mutating func feed(_ input: some Sequence<UInt8>) {
        pending += input
        while !failed, step() {}
    }

    /// False when more octets are needed.
    private mutating func step() -> Bool {
        if parser.isBetweenMessages, let method = methods.first {
            methods.removeFirst()
            var text = method
            text.withUTF8 { unsafe parser.expectResponse(toMethod: Octets(UnsafeRawBufferPointer($0))) }
        }
        let input = pending
        var isStuck = false
        let consumed = unsafe input.withUnsafeBytes { buffer in
            let octets = unsafe Octets(buffer)
            do throws(HTTP1Error) {
                let (consumed, event) = try parser.next(octets, headers: headers)
                isStuck = event == .needsMore
                note(event)
                return consumed
            } catch {
                happenings.append(.error(error))
                failed = true
                return 0
            }
        }
        precondition(consumed >= 0 && consumed <= pending.count, "took more than was given")
        pending.removeFirst(consumed)
        return !isStuck
    }

    private mutating func note(_ event: HTTP1Event) {
        switch event {
        case .needsMore: break
        case .head(let head): happenings.append(.head(head, headers.lines))
        case .end: happenings.append(.end)
        case .body(let part):
            precondition(!part.isEmpty, "an empty part")
            if case .body(let before) = happenings.last {
                happenings[happenings.count - 1] = .body(before + part.array)
            } else {
                happenings.append(.body(part.array))
            }
        }
    }

    static func requests(
        _ text: some Sequence<UInt8>, scheme: HTTP1Parser.Scheme = .http, piece: Int = .max
    ) -> HTTP1Reading {
        var reading = HTTP1Reading(HTTP1Parser(role: .request(scheme), limits: .request))
        reading.feed(Array(text), piece: piece)
        return reading
    }

    static func responses(
        _ text: some Sequence<UInt8>, to methods: [String] = ["GET"], piece: Int = .max
    ) -> HTTP1Reading {
        var reading = HTTP1Reading(HTTP1Parser(role: .response, limits: .response))
        reading.methods = methods
        reading.feed(Array(text), piece: piece)
        return reading
    }

    mutating func feed(_ text: [UInt8], piece: Int) {
        var rest = text[...]
        repeat {
            feed(rest.prefix(piece))
            rest = rest.dropFirst(piece)
        } while !rest.isEmpty
    }

    var error: HTTP1Error? {
        if case .error(let error) = happenings.last { return error }
        return nil
    }

    var heads: [HTTP1Head] {
        happenings.compactMap { if case .head(let head, _) = $0 { head } else { nil } }
    }

    /// The fields of the first head, `name: value` each.
    var lines: [String] {
        for case .head(_, let lines) in happenings { return lines }
        return []
    }

    var bodies: [String] {
        happenings.compactMap { if case .body(let body) = $0 { String(decoding: body, as: UTF8.self) } else { nil } }
    }

    var ends: Int { happenings.count { $0 == .end } }
}

extension HeaderBlock {
    var lines: [String] { fields.map { "\($0.name.string): \($0.value.string)" } }
}

/// Shorthand for tables: `\n` becomes CRLF.
func crlf(_ text: String) -> [UInt8] {
    Array(text.utf8.flatMap { $0 == 0x0a ? [0x0d, 0x0a] : [$0] })
}
