internal import Balancing
internal import HTTP
internal import Octets

/// What distinguishes the requests of a destination. A worker's own: its texts are copies.
///
/// Thread: its worker's. Freed by: its `DestinationHandle`.
final class HashKey {
    private let key: HashPolicy.Key
    private let name = OctetBuffer(capacity: 64)
    /// What follows the value in `set-cookie`; nil: the gateway sets no cookie.
    private let setting: String?

    init(_ policy: HashPolicy) {
        key = policy.key
        switch policy.key {
        case .header(let text), .queryParameter(let text):
            name.append(text: text)
            setting = nil
        case .cookie(let cookie):
            name.append(text: cookie.name)
            setting = cookie.setting
        case .sourceAddress: setting = nil
        }
    }

    /// Whether it is the client's address, which connections have as well as requests.
    var isAddress: Bool { key == .sourceAddress }

    /// Whether the gateway sets the cookie where it is absent.
    var setsCookie: Bool { setting != nil }

    /// The octets to be hashed; nil where the request has none.
    /// - Parameters:
    ///   - path: with its query.
    ///   - peer: the client's address.
    func value(in block: HeaderBlock, path: Octets, peer: Octets) -> Octets? {
        switch key {
        case .header: block.first(named: name.octets)
        case .cookie: Self.cookie(name.octets, in: block)
        case .sourceAddress: peer
        case .queryParameter: Self.parameter(name.octets, in: path)
        }
    }

    /// The value of the first cookie of that name, without quotes around it.
    private static func cookie(_ name: Octets, in block: HeaderBlock) -> Octets? {
        for field in block.fields where field.known == .cookie {
            if let value = pair(name, in: field.value, separator: UInt8(ascii: ";")) { return unquoted(value) }
        }
        return nil
    }

    /// The value of the first parameter of that name.
    private static func parameter(_ name: Octets, in path: Octets) -> Octets? {
        var start = 0
        while start < path.count, path[start] != UInt8(ascii: "?") { start += 1 }
        return pair(name, in: path.dropFirst(start + 1), separator: UInt8(ascii: "&"))
    }

    /// The value behind `name=` in a list of pairs. One pass over the octets.
    private static func pair(_ name: Octets, in text: Octets, separator: UInt8) -> Octets? {
        var start = 0
        while start < text.count {
            while start < text.count, text[start] == UInt8(ascii: " ") { start += 1 }
            var end = start
            while end < text.count, text[end] != separator { end += 1 }
            let pair = text.slice(start, end)
            if pair.count > name.count, pair[name.count] == UInt8(ascii: "="), pair.prefix(name.count) == name {
                return pair.dropFirst(name.count + 1)
            }
            start = end + 1
        }
        return nil
    }

    private static func unquoted(_ value: Octets) -> Octets {
        let quote = UInt8(ascii: "\"")
        guard value.count > 1, value[0] == quote, value[value.count - 1] == quote else { return value }
        return value.slice(1, value.count - 1)
    }

    /// Adds the field that gives the client a cookie of that value.
    func setCookie(_ value: UInt64, in block: HeaderBlock) {
        guard let setting else { return }
        let text = OctetBuffer(capacity: 256)
        text.append(name.octets)
        text.append(text: "=\"\(Self.text(value))\"\(setting)")
        block.append(copying: "set-cookie", text.octets)
    }

    /// A cookie's value: 16 hexadecimal digits.
    static func text(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// Where one request belongs by its hash. Plain data.
struct Affinity: BitwiseCopyable {
    private var isKnown = false
    /// nil: anywhere.
    private(set) var hash: UInt64?
    /// The value of the cookie that the client is to get; nil for none.
    private(set) var cookie: UInt64?

    /// Finds it once for all tries of a request.
    mutating func find(_ key: HashKey, in block: HeaderBlock, path: Octets, peer: Octets, random: UInt64) {
        guard !isKnown else { return }
        isKnown = true
        if let value = key.value(in: block, path: path, peer: peer) {
            hash = StableHash.hash(value)
        } else if key.setsCookie {
            cookie = random
            hash = StableHash.hash(HashKey.text(random))
        }
    }
}
