internal import Octets

/// The field lines of one head: checked, understood, and put into the block in one pass. `host` is not: it
/// becomes `:authority`, for which its owner has left a place in front.
/// Source: RFC 9112 §5, RFC 9110 §7.6.1.
struct HTTP1Fields {
    private(set) var host: Octets?
    /// How many `host` fields there are: exactly one is right (RFC 9112 §3.2).
    private(set) var hosts = 0
    /// `connection: close` is there.
    private(set) var isCloseAsked = false
    /// `connection: keep-alive` is there, which only matters in HTTP/1.0.
    private(set) var isKeepAliveAsked = false
    private(set) var expectsContinue = false
    private(set) var upgrade = HTTP1Upgrade.none
    private var contentLength: Octets?
    private var contentLengths = 0
    private var transferEncoding: Octets?
    private var transferEncodings = 0
    private var isUpgradeNominated = false
    private var acceptsTrailers = false
    private var nominated: ContiguousArray<Octets> = []    // seldom any
    private static let mostNominated = 16

    /// Puts the fields that cross the gateway into the block, in their order.
    /// - Parameter lines: octets that we own: names are made lower-case in place.
    init(
        _ lines: HTTP1Lines, limits: HTTP1Limits, isRequest: Bool, into headers: HeaderBlock,
        withoutContentLength: Bool = false
    ) throws(HTTP1Error) {
        var rest = lines
        var amount = 0
        while let line = rest.next() {
            amount += 1
            guard amount <= limits.fields else { throw .tooManyHeaders }
            let name = line.prefix(try Self.lowerCaseName(line))
            let value = HTTP1Syntax.trimmed(line.dropFirst(name.count + 1))
            guard HTTP1Syntax.isFieldValue(value) else { throw .invalidCharacters }
            let known = KnownHeader(name: name)
            try note(known, value, isRequest: isRequest)
            switch known {
            case .host, .te: continue
            case .contentLength where withoutContentLength: continue
            default: if !known.isHopByHop { headers.append(stable: name, known, value) }
            }
        }
        if !isUpgradeNominated { upgrade = .none }
        if !nominated.isEmpty { removeNominated(from: headers) }
        if acceptsTrailers { headers.append(stable: "te", "trailers") }
    }

    /// `connection` may nominate lines in front of it; pseudo-header fields are none.
    private func removeNominated(from headers: HeaderBlock) {
        headers.edit { $0.name.first != UInt8(ascii: ":") && isNominated($0.name) ? .remove : .keep }
    }

    /// Whether the fields say that there is a body, however badly.
    var announcesBody: Bool { transferEncodings > 0 || (contentLength.map { $0 != "0" } ?? false) }

    /// How the fields frame the body; nil when they say nothing. Anything ambiguous is an error.
    /// Source: RFC 9112 §6.
    func framing() throws(HTTP1Error) -> HTTP1Framing? {
        if contentLengths > 0, transferEncodings > 0 { throw .lengthAndTransferEncoding }
        if let transferEncoding {
            guard transferEncodings == 1, transferEncoding.equalsIgnoringCase("chunked")
            else { throw .unknownTransferEncoding }
            return .chunked
        }
        guard let contentLength else { return nil }
        guard contentLengths == 1, let length = HTTP1Syntax.length(contentLength)
        else { throw .invalidContentLength }
        return .length(length)
    }

    private mutating func note(
        _ known: KnownHeader, _ value: Octets, isRequest: Bool
    ) throws(HTTP1Error) {
        switch known {
        case .host:
            host = value
            hosts += 1
        case .contentLength:
            contentLength = value
            contentLengths += 1
        case .transferEncoding:
            transferEncoding = value
            transferEncodings += 1
        case .connection: try noteConnection(value, isRequest: isRequest)
        case .proxyConnection: noteProxyConnection(value)
        case .expect: expectsContinue = value.equalsIgnoringCase("100-continue")
        case .upgrade: noteUpgrade(value)
        case .te: noteTE(value)
        default: break
        }
    }

    private mutating func noteConnection(_ value: Octets, isRequest: Bool) throws(HTTP1Error) {
        var options = HTTP1List(value)
        while let option = options.next() {
            if option.equalsIgnoringCase("close") {
                isCloseAsked = true
            } else if option.equalsIgnoringCase("keep-alive") {
                isKeepAliveAsked = true
            } else if option.equalsIgnoringCase("upgrade") {
                isUpgradeNominated = true
            } else if Self.isProtected(option) {
                // A response cannot harm anybody by it: its field simply stays.
                if isRequest { throw .connectionNominatesProtected }
            } else {
                guard nominated.count < Self.mostNominated else { throw .syntax }
                nominated.append(option)
            }
        }
    }

    private mutating func noteProxyConnection(_ value: Octets) {
        if value.equalsIgnoringCase("close") { isCloseAsked = true }
    }

    private mutating func noteUpgrade(_ value: Octets) {
        var protocols = HTTP1List(value)
        while let name = protocols.next() {
            if name.equalsIgnoringCase("websocket") { upgrade = .webSocket }
        }
    }

    private mutating func noteTE(_ value: Octets) {
        var codings = HTTP1List(value)
        while let coding = codings.next() {
            if coding.equalsIgnoringCase("trailers") { acceptsTrailers = true }
        }
    }

    private func isNominated(_ name: Octets) -> Bool {
        for option in nominated where option.equalsIgnoringCase(name) { return true }
        return false
    }

    /// Fields that the next server relies on. A client that nominates one wants the gateway to strip what
    /// the gateway or an earlier proxy vouches for. Source: RFC 9110 §7.6.1, last paragraphs.
    private static func isProtected(_ option: Octets) -> Bool {
        if option.prefix(12).equalsIgnoringCase("x-forwarded-") { return true }
        for name in protectedNames where option.equalsIgnoringCase(name) { return true }
        return false
    }

    private static let protectedNames: [Octets] = [
        "host", "authorization", "cookie", "content-length", "content-type", "forwarded", "x-request-id",
        "x-real-ip", "grpc-timeout", "set-cookie", "grpc-status",
    ]

    /// The length of the line's name, whose capitals are made small in place.
    private static func lowerCaseName(_ line: Octets) throws(HTTP1Error) -> Int {
        guard let end = line.nearIndex(of: UInt8(ascii: ":")), end > 0, let base = unsafe line.base
        else { throw .syntax }
        // The line is a part of the block's own copy of the head, which is mutable memory.
        let octets = unsafe UnsafeMutableRawPointer(mutating: base)
        let name = line.prefix(end)
        if end >= 8, unsafe lowerCaseWords(name, octets) { return end }
        for index in 0..<end {
            guard HTTP1Syntax.isToken(name[index]) else { throw .syntax }
            unsafe octets.storeBytes(of: name[index].lowercased, toByteOffset: index, as: UInt8.self)
        }
        return end
    }

    /// The same for a name of eight octets or more, eight of them together; the last eight may overlap those before.
    /// - Returns: whether it is such a name as most are; otherwise it has to be looked at octet by octet.
    private static func lowerCaseWords(_ name: Octets, _ octets: UnsafeMutableRawPointer) -> Bool {
        var (index, odd) = (0, UInt64(0))
        while index < name.count {
            let place = min(index, name.count - 8)
            let word = Octets.lowered(name.word(at: place))
            odd |= Octets.oddInName(word)
            unsafe octets.storeBytes(of: word, toByteOffset: place, as: UInt64.self)
            index += 8
        }
        return odd & Octets.Word.tops == 0
    }
}
