internal import Octets

/// A value of a header operation, which is one of Envoy's format strings, taken apart.
/// Source: docs/configuration.md, Values of header operations.
package struct HeaderFormat: Sendable {
    /// The message whose headers are changed.
    package enum Message: Sendable { case request, response }

    /// A part of the value.
    package enum Piece: Sendable, Equatable {
        /// As it is; a `%%` of the file is one percent sign here.
        case text(String)
        /// The first value of a field, or of `other` if there is none, cut to `most` octets. Names are in lower case.
        case field(of: Message, name: String, other: String?, most: Int?)
        /// The time at which the request came, in a format that `TimeFormat` knows.
        case startTime(String)
        case variable(Variable)
        /// An operator of Envoy's that has no value here.
        case nothing(String)
    }

    /// An operator without an argument.
    package enum Variable: String, Sendable, CaseIterable {
        case remoteAddress = "DOWNSTREAM_REMOTE_ADDRESS"
        case remoteHost = "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"
        case remotePort = "DOWNSTREAM_REMOTE_PORT"
        case directRemoteAddress = "DOWNSTREAM_DIRECT_REMOTE_ADDRESS"
        case directRemoteHost = "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT"
        case directRemotePort = "DOWNSTREAM_DIRECT_REMOTE_PORT"
        case localAddress = "DOWNSTREAM_LOCAL_ADDRESS"
        case localHost = "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT"
        case localPort = "DOWNSTREAM_LOCAL_PORT"
        case serverName = "REQUESTED_SERVER_NAME"
        case protocolName = "PROTOCOL"
        case hostName = "HOSTNAME"
        case routeName = "ROUTE_NAME"
        case cluster = "UPSTREAM_CLUSTER"
        case upstreamAddress = "UPSTREAM_HOST"
        case upstreamRemoteAddress = "UPSTREAM_REMOTE_ADDRESS"
        case responseCode = "RESPONSE_CODE"

        /// Whether it has a value only when the response is there.
        var isOfResponse: Bool {
            switch self {
            case .upstreamAddress, .upstreamRemoteAddress, .responseCode: true
            default: false
            }
        }
    }

    /// Why a text is no value.
    struct Failure: Error {
        let message: String
        let hint: String?
    }

    /// The parts, in order; adjoining texts are one.
    package private(set) var pieces: [Piece] = []

    /// Takes a text apart.
    init(_ text: String, for message: Message) throws(Failure) {
        var reader = FormatReader(Array(text.utf8)[...], message)
        while let piece = try reader.next() { append(piece) }
    }

    /// Takes a text apart that was checked before; nil for one with a mistake.
    package init?(checked text: String, for message: Message) {
        guard let made = try? HeaderFormat(text, for: message) else { return nil }
        self = made
    }

    private mutating func append(_ piece: Piece) {
        if case .text(let more) = piece, case .text(let before) = pieces.last {
            pieces[pieces.count - 1] = .text(before + more)
        } else {
            pieces.append(piece)
        }
    }

    /// The operators without a value here, in order.
    package var withoutValue: [String] {
        pieces.compactMap { if case .nothing(let name) = $0 { name } else { nil } }
    }

    /// The names of all operators that have a value, as they are written.
    static let names =
        ["REQ", "RESP", "REQUEST_HEADER", "RESPONSE_HEADER", "START_TIME"] + Variable.allCases.map(\.rawValue)
}

extension HeaderFormat {
    /// Whether Envoy has an operator of this name, which has no value here.
    /// Source: envoyproxy/envoy docs/root/configuration/observability/access_log/usage.rst, Command operators.
    static func isKnownToEnvoy(_ name: String) -> Bool {
        families.contains(where: name.hasPrefix) || others.contains(name)
    }

    private static let families = [
        "DOWNSTREAM_LOCAL_", "DOWNSTREAM_PEER_", "DOWNSTREAM_TLS_", "UPSTREAM_LOCAL_", "UPSTREAM_PEER_",
        "UPSTREAM_TLS_",
        "UPSTREAM_REMOTE_",
    ]
    private static let others: Set<String> = [
        "ACCESS_LOG_TYPE", "BYTES_RECEIVED", "BYTES_SENT", "CLUSTER_METADATA", "COMMON_DURATION", "CONNECTION_ID",
        "CONNECTION_TERMINATION_DETAILS", "DOWNSTREAM_TRANSPORT_FAILURE_REASON", "DURATION", "DYNAMIC_METADATA",
        "EMIT_TIME", "ENVIRONMENT", "FILTER_STATE", "GRPC_STATUS", "GRPC_STATUS_NUMBER", "LOCAL_REPLY_BODY", "METADATA",
        "PER_REQUEST_STATE", "QUERY_PARAM", "QUERY_PARAMS", "PATH", "REQUEST_DURATION", "RESPONSE_CODE_DETAILS",
        "RESPONSE_DURATION", "RESPONSE_FLAGS", "RESPONSE_FLAGS_LONG", "RESPONSE_TX_DURATION", "START_TIME_LOCAL",
        "STREAM_ID", "TRACE_ID", "TRAILER", "UNIQUE_ID", "UPSTREAM_CLUSTER_RAW", "UPSTREAM_FILTER_STATE",
        "UPSTREAM_HOST_NAME", "UPSTREAM_METADATA", "UPSTREAM_PROTOCOL", "UPSTREAM_REQUEST_ATTEMPT_COUNT",
        "UPSTREAM_TRANSPORT_FAILURE_REASON", "VIRTUAL_CLUSTER_NAME",
    ]
}

/// Reads the parts of a format string.
private struct FormatReader {
    private var rest: ArraySlice<UInt8>
    private let message: HeaderFormat.Message

    init(_ text: ArraySlice<UInt8>, _ message: HeaderFormat.Message) {
        rest = text
        self.message = message
    }

    /// The next part; nil at the end of the text.
    mutating func next() throws(HeaderFormat.Failure) -> HeaderFormat.Piece? {
        guard let first = rest.first else { return nil }
        guard first == UInt8(ascii: "%") else {
            let text = rest.prefix { $0 != UInt8(ascii: "%") }
            rest = rest[text.endIndex...]
            return .text(Self.string(text))
        }
        rest = rest.dropFirst()
        return try operation()
    }

    /// Reads the text after a `%` up to the `%` that ends the operator. An argument may have anything but `)`, also
    /// percent signs: `%START_TIME(%s.%3f)%`.
    private mutating func operation() throws(HeaderFormat.Failure) -> HeaderFormat.Piece {
        let name = rest.prefix {
            $0 == UInt8(ascii: "_") || $0.isDigit || ($0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z"))
        }
        rest = rest[name.endIndex...]
        var argument: ArraySlice<UInt8>?
        var length: Int?
        if rest.first == UInt8(ascii: "("), !name.isEmpty, let end = rest.firstIndex(of: UInt8(ascii: ")")) {
            argument = rest[(rest.startIndex + 1)..<end]
            rest = rest[(end + 1)...]
        }
        if rest.first == UInt8(ascii: ":"), !name.isEmpty {
            let digits = rest.dropFirst().prefix(while: \.isDigit)
            length = Int(Self.string(digits))
            if length == nil { throw Self.noOperator }
            rest = rest[digits.endIndex...]
        }
        rest = rest.drop { !name.isEmpty && $0 == UInt8(ascii: " ") }
        guard rest.popFirst() == UInt8(ascii: "%") else { throw Self.noOperator }
        if name.isEmpty { return .text("%") }
        return try piece(Self.string(name), argument.map(Self.string), length)
    }

    private func piece(
        _ name: String, _ argument: String?, _ length: Int?
    ) throws(HeaderFormat.Failure) -> HeaderFormat.Piece {
        switch name {
        case "REQ", "REQUEST_HEADER": return try field(name, of: .request, argument, length)
        case "RESP", "RESPONSE_HEADER": return try field(name, of: .response, argument, length)
        case "START_TIME":
            if length != nil { throw Self.unexpected(name, "length") }
            return .startTime(try startTime(argument))
        default: break
        }
        guard let variable = HeaderFormat.Variable(rawValue: name) else {
            if HeaderFormat.isKnownToEnvoy(name) { return .nothing(name) }
            throw Self.unknown(name)
        }
        if argument != nil { throw Self.unexpected(name, "argument") }
        if length != nil { throw Self.unexpected(name, "length") }
        return variable.isOfResponse && message == .request ? .nothing(name) : .variable(variable)
    }

    private func field(
        _ name: String, of source: HeaderFormat.Message, _ argument: String?, _ length: Int?
    ) throws(HeaderFormat.Failure) -> HeaderFormat.Piece {
        if source == .response, message == .request { return .nothing(name) }
        let names = (argument ?? "").split(separator: "?", omittingEmptySubsequences: false).map { $0.lowercased() }
        let areGood = names.allSatisfy { Grammar.isFieldName($0.hasPrefix(":") ? $0.dropFirst() : Substring($0)) }
        guard areGood, (1...2).contains(names.count) else {
            throw HeaderFormat.Failure(
                message: "`%\(name)%` names no header", hint: "write %\(name)(x-name)%, or %\(name)(x-name?x-other)%")
        }
        return .field(of: source, name: names[0], other: names.count > 1 ? names[1] : nil, most: length)
    }

    private func startTime(_ argument: String?) throws(HeaderFormat.Failure) -> String {
        guard let argument, !argument.isEmpty else { return TimeFormat.usual }
        guard TimeFormat.isFormat(argument) else {
            throw HeaderFormat.Failure(
                message: "`\(argument)` is no format of %START_TIME%", hint: "it may have \(TimeFormat.directives)")
        }
        return argument
    }

    private static func unknown(_ name: String) -> HeaderFormat.Failure {
        let nearest = NearestName.find(name, among: HeaderFormat.names)
        return HeaderFormat.Failure(
            message: "`%\(name)%` is none of the operators that are in effect",
            hint: nearest.map { "did you mean `%\($0)%`?" } ?? "they are " + HeaderFormat.names.joined(separator: ", "))
    }

    private static func unexpected(_ name: String, _ what: String) -> HeaderFormat.Failure {
        HeaderFormat.Failure(message: "`%\(name)%` has no \(what)", hint: "write %\(name)%")
    }

    private static let noOperator = HeaderFormat.Failure(
        message: "a `%` that begins none of Envoy's operators",
        hint: "write %% for a percent sign; operators are %NAME%, %NAME(argument)% and %NAME(argument):length%")

    private static func string(_ octets: ArraySlice<UInt8>) -> String { String(decoding: octets, as: UTF8.self) }
}
