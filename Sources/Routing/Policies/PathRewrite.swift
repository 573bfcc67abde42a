internal import Manifests
package import Octets
internal import Patterns

/// How a path is changed before the upstream gets it, or before the client is redirected to it. Its text is memory of
/// its own, so that a request counts no references. Source: docs/istio.md, Rewrites.
///
/// Thread: any. Freed by: the `Rewrite` or redirect that has it.
@safe package final class PathRewrite: Sendable {
    private enum Part: BitwiseCopyable, Sendable {
        /// The first octets of the path.
        case prefix(Int)
        /// All of the path, but not its query.
        case path
        /// Every match of `pattern` in the path, but not in its query.
        case matches
    }

    /// What writing has come to.
    package enum Outcome: Sendable, Equatable {
        /// The path has no match of the expression; nothing was written.
        case unchanged
        case written
        /// The same; the new path is in its normal form if the old one was.
        case writtenInForm
        /// More time or octets than a request may take; what was written is of no use.
        case tooCostly
    }

    /// The longest path that an expression may make, in octets.
    package static let mostOctets = 65_536

    private let part: Part
    private let text: Slab<UInt8>    // owned; freed in `deinit`
    private let pattern: Pattern?
    private let isPlain: Bool    // the text is a path without dot segments and escapes

    private init(_ part: Part, _ text: String, _ pattern: Pattern? = nil) {
        self.part = part
        self.text = Slab(Array(text.utf8))
        self.pattern = pattern
        isPlain = Self.isPlain(text)
    }

    /// Whether each slash has a letter, a digit, `_` or `-` behind it, and there is nothing else but dots. In front of
    /// what is left of a path in its normal form, such a text makes no dot segment, and nothing else to be mended.
    private static func isPlain(_ text: String) -> Bool {
        var previous: UInt8 = 0
        for octet in text.utf8 {
            let isLetter = octet | 0x20 >= UInt8(ascii: "a") && octet | 0x20 <= UInt8(ascii: "z")
            let isDigit = octet >= UInt8(ascii: "0") && octet <= UInt8(ascii: "9")
            let isName = isLetter || isDigit || octet == UInt8(ascii: "_") || octet == UInt8(ascii: "-")
            let isBehindName = previous != 0 && previous != UInt8(ascii: "/")
            let isOther = octet == UInt8(ascii: ".") && isBehindName
            let isSlash = octet == UInt8(ascii: "/") && (previous == 0 || isBehindName)
            guard isSlash || (previous != 0 && (isName || isOther)) else { return false }
            previous = octet
        }
        return previous != 0 && previous != UInt8(ascii: "/")
    }

    deinit { text.free() }

    /// - Parameters:
    ///   - text: what takes the place of the matched part.
    ///   - matched: the part of the path that the rule's condition is on.
    convenience init(_ text: String, matched: MatchedPath) {
        switch matched {
        case .any: self.init(.prefix(1), text)    // the prefix `/`
        case .prefix(let length): self.init(.prefix(length), text)
        case .whole: self.init(.path, text)
        }
    }

    convenience init(allOf text: String) { self.init(.path, text) }

    convenience init(_ regex: HTTPRewrite.RegexRewrite) { self.init(.matches, regex.replacement, regex.match) }

    private var octets: Octets { text[Run(0, text.count)] }

    /// Whether the new path has a query of its own.
    var hasQuery: Bool { octets.firstIndex(of: UInt8(ascii: "?")) != nil }

    /// Writes the new form of a path.
    /// - Parameter path: with its query, which is kept.
    package func write(_ path: Octets, to buffer: OctetBuffer) -> Outcome {
        switch part {
        case .prefix(let length):
            buffer.append(octets)
            buffer.append(path.dropFirst(length))
            return isPlain ? .writtenInForm : .written
        case .path:
            buffer.append(octets)
            buffer.append(path.dropFirst(Self.end(of: path)))
            return .written
        case .matches: return replace(in: path, to: buffer)
        }
    }

    private func replace(in path: Octets, to buffer: OctetBuffer) -> Outcome {
        guard let pattern = pattern.unretained else { return .unchanged }
        let end = Self.end(of: path)
        let result = pattern {
            $0.replaceAll(in: path.prefix(end), with: octets, to: buffer, most: Self.mostOctets)
        }
        switch result {
        case .nothing: return .unchanged
        case .tooCostly: return .tooCostly
        case .written:
            buffer.append(path.dropFirst(end))
            return .written
        }
    }

    private static func end(of path: Octets) -> Int { path.firstIndex(of: UInt8(ascii: "?")) ?? path.count }
}

extension PathRewrite: CustomStringConvertible {
    package var description: String {
        switch part {
        case .prefix(let length): "the path's first \(length) octets become \"\(octets.string)\""
        case .path: "the path becomes \"\(octets.string)\""
        case .matches: "in the path \(pattern?.source ?? "") becomes \"\(octets.string)\""
        }
    }
}
