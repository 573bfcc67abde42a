package import Octets

/// Brings a request's path into the one form that routing, policies and the upstream all see, so that no
/// two of them can understand it differently. The rules are those of Istio's `pathNormalization: BASE`:
/// dot segments are resolved, also written `%2e`; `\` becomes `/`; escaped unreserved characters are
/// decoded; characters that do not belong into a path are escaped; `%00` is refused, and so are octets of the
/// query that are no visible ASCII; the fragment is cut off. Kept: `//`, `%2F`, `%5C`, broken escapes, the
/// query. Source: RFC 3986 §6.2.2.
package enum PathNormalization {
    /// What becomes of a path.
    package enum Verdict: Equatable, Sendable {
        /// The path is in its normal form already; nothing was allocated.
        case normal
        /// The normal form; its octets live in the block.
        case changed(Octets)
        /// Answer 400.
        case refused
    }

    /// - Parameters:
    ///   - path: `:path`, with its query; `*` is normal.
    ///   - headers: the block that gets the octets of a changed path.
    package static func normalize(_ path: Octets, in headers: HeaderBlock) -> Verdict {
        if isNormal(path) { return .normal }
        guard let text = rewritten(path) else { return .refused }
        let changed = text.withOctets { headers.copy($0) }
        return changed == path ? .normal : .changed(changed)
    }

    /// False also for some paths that turn out to be normal after a closer look.
    private static func isNormal(_ path: Octets) -> Bool {
        guard !path.isEmpty, path[0] == slash else { return path == "*" }
        if path.isPlainPath { return true }
        var previous: UInt8 = 0
        for index in 0..<path.count {
            let octet = path[index]
            if !isPlain(octet) {
                let rest = path.dropFirst(index)
                return octet == UInt8(ascii: "?") && rest.firstIndex(of: UInt8(ascii: "#")) == nil
                    && HTTP1Syntax.isTarget(rest)
            }
            if octet == dot, previous == slash { return false }
            previous = octet
        }
        return true
    }

    private static func rewritten(_ path: Octets) -> [UInt8]? {
        guard !path.isEmpty, path[0] == slash || path[0] == backslash else { return nil }
        let kept = path.prefix(path.firstIndex(of: UInt8(ascii: "#")) ?? path.count)
        let end = kept.firstIndex(of: UInt8(ascii: "?")) ?? kept.count
        // What no HTTP/1.1 server would take is a mistake of the client, whatever the upstream speaks.
        guard end == kept.count || HTTP1Syntax.isTarget(kept.dropFirst(end)) else { return nil }
        guard let decoded = decoded(kept.prefix(end)) else { return nil }
        return withoutDotSegments(decoded) + kept.dropFirst(end).array
    }

    /// The path with unreserved characters decoded and others escaped; nil when it is refused.
    private static func decoded(_ path: Octets) -> [UInt8]? {
        var output: [UInt8] = []
        output.reserveCapacity(path.count + 16)
        var index = 0
        while index < path.count {
            let octet = path[index]
            index += 1
            guard octet > 0x20, octet < 0x7f else { return nil }
            if octet == percent, let escaped = escaped(path, index) {
                guard escaped != 0 else { return nil }
                if isUnreserved(escaped), !completesEscape(escaped, output) {
                    output.append(escaped)
                } else {
                    output += [octet, path[index], path[index + 1]]
                }
                index += 2
            } else if octet == backslash {
                output.append(slash)
            } else if isEscapedWhenRaw(octet) {
                output += [percent, hexDigit(octet >> 4), hexDigit(octet & 15)]
            } else {
                output.append(octet)
            }
        }
        return output
    }

    /// Decoding `%65` in `%2%65` would make a new escape, `%2e`, which the next server would decode. Only digits can do
    /// so: a dot is decoded behind anything, or `%/%2e%2e/` would lead the next server upwards.
    private static func completesEscape(_ octet: UInt8, _ output: [UInt8]) -> Bool {
        guard HTTP1Syntax.hexDigit(octet) != nil, let last = output.last else { return false }
        if last == percent { return true }
        return output.count > 1 && output[output.count - 2] == percent && HTTP1Syntax.hexDigit(last) != nil
    }

    /// An empty segment is a segment. Source: RFC 3986 §5.2.4.
    private static func withoutDotSegments(_ path: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(path.count)
        var index = 0
        while index < path.count {    // `index` stands at a slash
            var end = index + 1
            while end < path.count, path[end] != slash { end += 1 }
            let segment = path[(index + 1)..<end]
            let isLast = end == path.count
            let isUp = segment.elementsEqual([dot, dot])
            if isUp { output.removeLast(output.count - (output.lastIndex(of: slash) ?? 0)) }
            if isUp || segment.elementsEqual([dot]) {
                if isLast { output.append(slash) }
            } else {
                output += path[index..<end]
            }
            index = end
        }
        return output
    }

    private static func escaped(_ path: Octets, _ index: Int) -> UInt8? {
        guard index + 1 < path.count, let high = HTTP1Syntax.hexDigit(path[index]),
            let low = HTTP1Syntax.hexDigit(path[index + 1])
        else { return nil }
        return high << 4 | low
    }

    private static func isUnreserved(_ octet: UInt8) -> Bool {
        octet.isDigit || octet.lowercased &- 0x61 < 26 || octet == dot || octet == UInt8(ascii: "-")
            || octet == UInt8(ascii: "_") || octet == UInt8(ascii: "~")
    }

    /// What a browser escapes in a path as well (the URL standard's path set, and `|` and `^`).
    private static func isEscapedWhenRaw(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "^"),
            UInt8(ascii: "`"), UInt8(ascii: "{"), UInt8(ascii: "|"), UInt8(ascii: "}"):
            true
        default: false
        }
    }

    /// What stays as it is and needs no look at its neighbours: the fast path's one question per octet.
    private static func isPlain(_ octet: UInt8) -> Bool {
        HTTP1Syntax.contains(octet, low: 0x2fff_ffd2_0000_0000, high: 0x47ff_fffe_afff_ffff)
    }

    private static func hexDigit(_ digit: UInt8) -> UInt8 { digit < 10 ? 0x30 + digit : 0x37 + digit }

    private static var slash: UInt8 { UInt8(ascii: "/") }
    private static var backslash: UInt8 { UInt8(ascii: "\\") }
    private static var dot: UInt8 { UInt8(ascii: ".") }
    private static var percent: UInt8 { UInt8(ascii: "%") }
}
