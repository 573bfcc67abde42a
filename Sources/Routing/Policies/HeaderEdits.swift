internal import Manifests
package import Octets

/// The header operations of one message, compiled: plain values in memory of its own, so that applying them counts no
/// references. First the names of `removals` are removed, then the values of all others are made, then those that
/// replace are set, in order, and then the others are added. A value that is empty changes nothing.
/// Source: docs/istio.md, Header operations.
///
/// Thread: any. Freed by: the last `HeaderPolicy` that has it.
@safe package final class HeaderEdits: Sendable {
    /// Of `removals`, to see at once that a section has none of them.
    package let removedNames: NameSet
    /// Whether the names that a section has make a difference.
    package let needsNames: Bool
    /// Whether a value has a part that is made of the section's own fields.
    package let readsFields: Bool
    private let removals: Slab<Octets>
    private let sets: Slab<Value>
    private let additions: Slab<Value>
    private let pieces: Slab<Piece>
    private let text: Slab<UInt8>

    // Not the slabs themselves: other modules would not have their generic code made for these types.
    /// How many names are removed.
    package var removalCount: Int { removals.count }
    /// How many fields are set.
    package var setCount: Int { sets.count }
    /// How many fields are added behind those that are there.
    package var additionCount: Int { additions.count }
    /// A name in lower case; traps if there is none.
    package func removal(_ index: Int) -> Octets { removals[index] }
    /// A field that is set, in order; traps if there is none.
    package func set(_ index: Int) -> Value { sets[index] }
    /// A field that is added, in order; traps if there is none.
    package func addition(_ index: Int) -> Value { additions[index] }
    /// A part of a value, by `Value.pieces`; traps if there is none.
    package func piece(_ index: Int32) -> Piece { pieces[index] }

    /// A field and where the parts of its value are.
    package struct Value: BitwiseCopyable, Sendable {
        /// In lower case.
        package let name: Octets
        /// The numbers of its parts; at least one.
        package let pieces: Run
        /// The value, if it is the rule's own text; else empty.
        package let text: Octets
    }

    /// A part of a value.
    package struct Piece: BitwiseCopyable, Sendable {
        /// Where the octets come from.
        package enum Kind: UInt8, BitwiseCopyable, Sendable {
            /// `text` as it is.
            case text
            /// The first field named `text`, or else `other`, of the request or of the response.
            case requestField, responseField
            /// `text` is the format.
            case startTime
            case remoteAddress, remoteHost, remotePort, localAddress, localHost, localPort
            case directAddress, directHost, directPort
            case serverName, protocolName, hostName, routeName, cluster, upstreamAddress, responseCode
        }
        /// Where its octets come from.
        package let kind: Kind
        /// The octets themselves, a name in lower case, or a format; by its kind.
        package let text: Octets
        /// Another name, which is asked for if there is no field of the first one; empty if there is none.
        package let other: Octets
        /// The most octets that are taken of a field; `Int.max` takes all.
        package let most: Int
    }

    /// Compiles operations; nil if there are none.
    convenience init?(_ changes: [HeaderOperations.Changes], of message: HeaderFormat.Message) {
        var builder = Builder(message)
        for change in changes { builder.add(change) }
        guard !builder.isEmpty else { return nil }
        self.init(builder)
    }

    private init(_ builder: Builder) {
        let text = Slab(builder.text)
        self.text = text
        removals = Slab(builder.removals.map { text[$0] })
        var names = NameSet()
        for index in 0..<removals.count { names.insert(removals[index]) }
        removedNames = names
        let (set, added) = (builder.sets.map(builder.value(in: text)), builder.additions.map(builder.value(in: text)))
        sets = Slab(set)
        additions = Slab(added)
        pieces = Slab(
            builder.pieces.map { Piece(kind: $0.kind, text: text[$0.text], other: text[$0.other], most: $0.most) })
        needsNames = !builder.removals.isEmpty || !builder.sets.isEmpty
        readsFields = builder.pieces.contains { [.requestField, .responseField, .responseCode].contains($0.kind) }
    }

    deinit {
        removals.free()
        sets.free()
        additions.free()
        pieces.free()
        text.free()
    }
}

/// Gathers the parts of `HeaderEdits` as places in one text.
private struct Builder {
    typealias Value = (name: Run, pieces: Run)
    typealias Piece = (kind: HeaderEdits.Piece.Kind, text: Run, other: Run, most: Int)

    private let message: HeaderFormat.Message
    private(set) var text: [UInt8] = []
    private(set) var removals: [Run] = []
    private(set) var sets: [Value] = []
    private(set) var additions: [Value] = []
    private(set) var pieces: [Piece] = []

    init(_ message: HeaderFormat.Message) { self.message = message }

    var isEmpty: Bool { removals.isEmpty && sets.isEmpty && additions.isEmpty }

    /// Adds operations behind those that are there.
    mutating func add(_ changes: HeaderOperations.Changes) {
        for name in changes.remove where !HeaderOperations.isHost(name) { removals.append(keep(name.lowercased())) }
        for (name, value) in Self.sorted(changes.set) {
            guard let format = value.isEmpty ? nil : HeaderFormat(checked: value, for: message) else { continue }
            if format.withoutValue.isEmpty {
                sets.append(self.value(name, format))
            } else if message == .request {
                // Whoever sets a header does not want the client's, which would pass as the gateway's.
                removals.append(keep(name))
            }
        }
        for (name, value) in Self.sorted(changes.add) {
            guard let format = value.isEmpty ? nil : HeaderFormat(checked: value, for: message) else { continue }
            if format.withoutValue.isEmpty { additions.append(self.value(name, format)) }
        }
    }

    /// Istio sorts the names of a mapping. The host is a rewrite and stands elsewhere.
    private static func sorted(_ pairs: [(name: String, value: String)]) -> [(name: String, value: String)] {
        pairs.map { ($0.name.lowercased(), HeaderEdits.trimmed($0.value)) }
            .filter { !HeaderOperations.isHost($0.name) }.sorted { $0.name < $1.name }
    }

    /// What makes of a value's places in the text what is used.
    func value(in text: Slab<UInt8>) -> (Value) -> HeaderEdits.Value {
        { value in
            let first = pieces[Int(value.pieces.first)]
            let isText = value.pieces.count == 1 && first.kind == .text
            return HeaderEdits.Value(
                name: text[value.name], pieces: value.pieces, text: isText ? text[first.text] : .empty)
        }
    }

    private mutating func value(_ name: String, _ format: HeaderFormat) -> Value {
        let first = pieces.count
        for piece in format.pieces { add(piece) }
        return (keep(name), Run(first, pieces.count - first))
    }

    private mutating func add(_ piece: HeaderFormat.Piece) {
        switch piece {
        case .text(let text): append(.text, text)
        case .field(.request, let name, let other, let most): append(.requestField, Self.known(name), other, most)
        case .field(.response, let name, let other, let most): append(.responseField, name, other, most)
        case .startTime(let format): append(.startTime, format)
        case .variable(let variable): append(Self.kind(variable), "")
        case .nothing: break
        }
    }

    /// The host of a request is kept as its authority.
    private static func known(_ name: String) -> String { name == "host" ? ":authority" : name }

    private mutating func append(
        _ kind: HeaderEdits.Piece.Kind, _ text: String, _ other: String? = nil, _ most: Int? = nil
    ) {
        pieces.append((kind, keep(text), keep(Self.known(other ?? "")), most ?? .max))
    }

    private mutating func keep(_ part: String) -> Run {
        let first = text.count
        text += Array(part.utf8)
        return Run(first, text.count - first)
    }

    private static func kind(_ variable: HeaderFormat.Variable) -> HeaderEdits.Piece.Kind {
        switch variable {
        case .remoteAddress: .remoteAddress
        case .remoteHost: .remoteHost
        case .remotePort: .remotePort
        case .directRemoteAddress: .directAddress
        case .directRemoteHost: .directHost
        case .directRemotePort: .directPort
        case .localAddress: .localAddress
        case .localHost: .localHost
        case .localPort: .localPort
        case .serverName: .serverName
        case .protocolName: .protocolName
        case .hostName: .hostName
        case .routeName: .routeName
        case .cluster: .cluster
        case .upstreamAddress, .upstreamRemoteAddress: .upstreamAddress
        case .responseCode: .responseCode
        }
    }
}

extension HeaderEdits {
    /// Without blanks at both ends, which belong to no value. Source: RFC 9110 §5.5.
    fileprivate static func trimmed(_ text: String) -> String {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        var rest = text[...].drop(while: isBlank)
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        return String(rest)
    }
}

extension HeaderOperations {
    /// Whether a header is the request's host, which is rewritten and not edited.
    static func isHost(_ name: String) -> Bool { ["host", ":authority"].contains(name.lowercased()) }
}
