package import Octets

/// Reads HTTP/1.1 messages, one after the other, from the octets of one connection. It does no I/O, holds
/// none of the octets and refuses whatever two readers could understand differently: for an edge gateway
/// that is the line between a bad request and a smuggled one. Source: RFC 9112.
///
///     requests:   head → body → head …
///     responses:  idle → (expectResponse) → head → (interim head …) → body → idle
///
/// After a head that upgrades, all octets behind it are those of a body that ends with the connection; after a
/// request's head it is the caller that waits until the upgrade is accepted.
package struct HTTP1Parser {
    /// Which side's messages are read.
    package enum Role: Equatable, Sendable {
        /// The scheme of the connection, which becomes `:scheme`.
        case request(Scheme)
        case response
    }

    /// The scheme of the connection that messages come on.
    package enum Scheme: Equatable, Sendable {
        case http, https
    }

    private enum State {
        case idle    // responses: none is expected
        case head
        case length(UInt64)    // octets of the body still to come
        case chunked
        case untilClose
        case failed(HTTP1Error)
    }

    private let role: Role
    private let limits: HTTP1Limits
    private var state: State
    private var scan = Scan()
    private var chunks: HTTP1Chunks
    private var expected = Expected()
    private var hasRead = false    // a whole head

    /// A parser for one connection.
    package init(role: Role, limits: HTTP1Limits) {
        self.role = role
        self.limits = limits
        state = role == .response ? .idle : .head
        chunks = HTTP1Chunks(limits: limits)
    }

    /// Nothing of a message was read yet, or the last one is complete. A part of a head that was seen
    /// but not consumed does not count: the caller holds it.
    package var isBetweenMessages: Bool {
        switch state {
        case .idle: true
        case .head: role != .response
        default: false
        }
    }

    /// The next octets are a head's, or the rest of one.
    package var isAtHead: Bool { if case .head = state { true } else { false } }

    /// Says which request the next response answers. A response without a request is an error.
    /// - Parameter upgrading: the request asked for an upgrade, so 101 is a possible answer.
    package mutating func expectResponse(toMethod method: Octets, upgrading: Bool = false) {
        guard case .idle = state else { return }
        expected = Expected(isHeadMethod: method == "HEAD", isUpgrading: upgrading)
        state = .head
    }

    /// Takes octets from the front of `input`. Call it again with the rest until `.needsMore`; then keep
    /// what was not consumed and come back with more behind it.
    /// - Parameter headers: takes the fields of the next head, in place of what it holds; it is touched
    ///   with the event `.head` and on an error only.
    /// - Throws: why the message is refused; every later call throws the same.
    package mutating func next(
        _ input: Octets, headers: HeaderBlock
    ) throws(HTTP1Error) -> (consumed: Int, event: HTTP1Event) {
        do throws(HTTP1Error) {
            return try step(input, headers)
        } catch {
            state = .failed(error)
            throw error
        }
    }

    /// The peer closed its direction.
    package mutating func inputEnded() -> HTTP1EndOfInput {
        if isBetweenMessages { return .betweenMessages }
        guard case .untilClose = state else { return .cutShort }
        state = .idle
        return .messageCompleted
    }

    private mutating func step(
        _ input: Octets, _ headers: HeaderBlock
    ) throws(HTTP1Error) -> (consumed: Int, event: HTTP1Event) {
        switch state {
        case .failed(let error):
            throw error
        case .idle:
            guard input.isEmpty else { throw .unexpectedOctets }
            return (0, .needsMore)
        case .head:
            return try takeHead(input, headers)
        case .length(0):
            return (0, completed())
        case .length(let left):
            let length = Int(clamping: min(left, UInt64(input.count)))
            state = .length(left - UInt64(length))
            return passOn(input.prefix(length))
        case .untilClose:
            return passOn(input)
        case .chunked:
            return try takeChunks(input)
        }
    }

    private func passOn(_ body: Octets) -> (consumed: Int, event: HTTP1Event) {
        body.isEmpty ? (0, .needsMore) : (body.count, .body(body))
    }

    private mutating func takeChunks(
        _ input: Octets
    ) throws(HTTP1Error) -> (consumed: Int, event: HTTP1Event) {
        let (consumed, found) = try chunks.next(input)
        switch found {
        case .needsMore: return (consumed, .needsMore)
        case .data(let data): return (consumed, .body(data))
        case .end: return (consumed, completed())
        }
    }

    private mutating func completed() -> HTTP1Event {
        state = role == .response ? .idle : .head
        return .end
    }

    private mutating func takeHead(
        _ input: Octets, _ headers: HeaderBlock
    ) throws(HTTP1Error) -> (consumed: Int, event: HTTP1Event) {
        if !hasRead, try !HTTP1Beginning.check(input, role) { return (0, .needsMore) }
        guard let end = try scan.headEnd(input, role: role, limits: limits) else { return (0, .needsMore) }
        hasRead = true
        let text = input.slice(scan.start, end)
        scan = Scan()
        headers.clear()
        let head: HTTP1Head
        switch role {
        case .request(let scheme):
            head = try HTTP1HeadReader.request(text, scheme: scheme, limits: limits, into: headers)
        case .response:
            head = try HTTP1HeadReader.response(
                text, toHead: expected.isHeadMethod, limits: limits, into: headers)
            if head.status == 101, !expected.isUpgrading { throw .unexpectedUpgrade }
            if head.isInterim { return (end, try interim(head)) }
        }
        enterBody(head.framing)
        return (end, .head(head))
    }

    private mutating func interim(_ head: HTTP1Head) throws(HTTP1Error) -> HTTP1Event {
        expected.interimResponses += 1
        guard expected.interimResponses <= limits.interimResponses
        else { throw .tooManyInterimResponses }
        return .head(head)    // the state stays: another head follows
    }

    private mutating func enterBody(_ framing: HTTP1Framing) {
        switch framing {
        case .none: state = .length(0)
        case .length(let length): state = .length(length)
        case .untilClose: state = .untilClose
        case .chunked:
            chunks = HTTP1Chunks(limits: limits)
            state = .chunked
        }
    }

    private struct Expected {
        var isHeadMethod = false
        var isUpgrading = false
        var interimResponses = 0
    }
}

extension HTTP1Parser {
    /// Looks for the end of a head, each octet once however small the pieces are in which they come.
    fileprivate struct Scan {
        private(set) var start = 0    // behind an empty line in front of the request
        private var line = 0    // where the current line begins
        private var seen = 0    // octets that were searched
        private var lines = 0

        /// - Returns: the offset behind the head's empty line; nil when more octets are needed.
        mutating func headEnd(
            _ input: Octets, role: Role, limits: HTTP1Limits
        ) throws(HTTP1Error) -> Int? {
            if lines == 0 { try checkBeginning(input.dropFirst(start), role: role) }
            while let found = input.dropFirst(seen).firstIndex(of: 0x0a) {
                let lineFeed = seen + found
                seen = lineFeed + 1
                guard lineFeed > line, input[lineFeed - 1] == 0x0d else { throw .syntax }
                guard seen - start <= limits.headOctets else { throw .headersTooLarge }
                let isEmpty = lineFeed - 1 == line
                line = seen
                if !isEmpty {
                    lines += 1
                } else if lines > 0 {
                    return seen
                } else {
                    // One empty line is ignored before a request. Source: RFC 9112 §2.2.
                    guard role != .response, start == 0 else { throw .syntax }
                    start = seen
                    try checkBeginning(input.dropFirst(start), role: role)
                }
                guard lines <= limits.fields + 1 else { throw .tooManyHeaders }
            }
            seen = input.count
            guard input.count - start <= limits.headOctets else { throw .headersTooLarge }
            return nil
        }

        /// Refuses what cannot become a message without waiting for a line end that may never come,
        /// such as a TLS handshake on a port in clear text.
        private func checkBeginning(_ input: Octets, role: Role) throws(HTTP1Error) {
            guard !input.isEmpty else { return }
            if role == .response {
                let wanted: Octets = "HTTP/1."
                guard wanted.hasPrefix(input.prefix(wanted.count)) else { throw .syntax }
                return
            }
            let emptyLine: Octets = "\r\n"
            let isEmptyLine = start == 0 && emptyLine.hasPrefix(input.prefix(emptyLine.count))
            guard isEmptyLine || HTTP1Syntax.isToken(input[0]) else { throw .syntax }
        }
    }
}
