/// A listener's server names: exact, then the longest `*.suffix` of any depth, then `*`.
/// Values in, choice out. The first chain that claims a name keeps it.
struct ServerNames: Sendable {
    private var exact: [String: Int] = [:]
    private var suffixes: [String: Int] = [:]    // ".example.com" for `*.example.com`
    private var fallback: Int?    // `*`

    /// RFC 1035 §2.3.4: a name has at most 255 octets.
    static let octetLimit = 255

    /// Adds the names of a chain; where two chains claim one name, the first keeps it.
    mutating func add(_ names: [String], chain: Int) {
        if names.isEmpty { fallback = fallback ?? chain }
        for name in names.map(Self.normal) {
            if name == "*" {
                fallback = fallback ?? chain
            } else if name.hasPrefix("*.") {
                let suffix = String(name.dropFirst())
                suffixes[suffix] = suffixes[suffix] ?? chain
            } else {
                exact[name] = exact[name] ?? chain
            }
        }
    }

    /// The chain for `name`, which is in its normal form; nil: the client sent none.
    func chain(for name: String?) -> Int? {
        guard let name else { return fallback }
        if let found = exact[name] { return found }
        guard !suffixes.isEmpty else { return fallback }
        var rest = name[...]
        while let dot = rest.dropFirst().firstIndex(of: ".") {
            rest = rest[dot...]
            if let found = suffixes[String(rest)] { return found }
        }
        return fallback
    }

    /// Lower-case, without the dot of a full name.
    static func normal(_ name: String) -> String {
        let name = name.lowercased()
        return name.count > 1 && name.hasSuffix(".") ? String(name.dropLast()) : name
    }

    /// The host name in a `server_name` extension (RFC 6066 §3): a list with exactly one host name.
    /// - Returns: nil for anything else, also for octets that no host name has.
    static func hostName(inExtension octets: UnsafeRawBufferPointer) -> String? {
        guard octets.count >= 5, octets.count <= 5 + octetLimit + 1 else { return nil }
        let list = unsafe Int(octets[0]) << 8 | Int(octets[1])
        let length = unsafe Int(octets[3]) << 8 | Int(octets[4])
        guard list == octets.count - 2, unsafe octets[2] == 0, length == octets.count - 5,
            length > 0
        else {
            return nil
        }
        let name = unsafe UnsafeRawBufferPointer(rebasing: octets[5...])
        guard unsafe name.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { return nil }
        return normal(unsafe String(decoding: name, as: UTF8.self))
    }
}
