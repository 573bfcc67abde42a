/// Exact hosts and wildcards, each with a number. It finds the hosts that cover a host, and the hosts below a wildcard,
/// without examining the others.
struct HostSet {
    private var exact: [String: Int32] = [:]
    private var suffixes: [String: Int32] = [:]    // by `.suffix`
    private var endings: [String: Int32] = [:]    // of hosts such as `*name.example.com`, by what follows the `*`
    private var everything: Int32?
    /// Further numbers of a host that was added more than once, by its first number.
    private var doubles: [Int32: [Int32]] = [:]
    private var names: [(name: String, number: Int32)] = []    // other than `*`
    private var backwards = BackwardNames([])

    /// Makes a set.
    /// - Parameter hosts: in lower case: `name.example.com`, `*.example.com`, `*name.example.com` or `*`.
    init(_ hosts: some Sequence<(name: String, number: Int32)>) {
        for (name, number) in hosts { add(name, number) }
        backwards = BackwardNames(names)
    }

    private mutating func add(_ name: String, _ number: Int32) {
        let first: Int32?
        if name == "*" {
            first = everything
            everything = everything ?? number
        } else {
            names.append((name, number))
            if name.hasPrefix("*.") {
                first = suffixes.addIfNew(String(name.dropFirst()), number)
            } else if name.hasPrefix("*") {
                first = endings.addIfNew(String(name.dropFirst()), number)
            } else {
                first = exact.addIfNew(name, number)
            }
        }
        if let first { doubles[first, default: []].append(number) }
    }

    /// Calls `body` with the number of each host that is `host` or covers it.
    func forEach(covering host: String, _ body: (Int32) -> Void) {
        if let everything { tell(everything, body) }
        if let number = exact[host] { tell(number, body) }
        if !endings.isEmpty {
            for index in host.indices.dropFirst() {
                if let number = endings[String(host[index...])] { tell(number, body) }
            }
        }
        guard !suffixes.isEmpty else { return }
        var index = host.startIndex
        while let dot = host[index...].firstIndex(of: ".") {
            if dot > host.startIndex, let number = suffixes[String(host[dot...])] { tell(number, body) }
            index = host.index(after: dot)
        }
    }

    private func tell(_ number: Int32, _ body: (Int32) -> Void) {
        body(number)
        guard !doubles.isEmpty, let more = doubles[number] else { return }
        for other in more { body(other) }
    }

    /// The numbers of the hosts that a wildcard covers other than itself. They ascend if they were added so.
    func below(_ wildcard: String) -> [Int32] {
        wildcard == "*" ? names.map(\.number) : backwards.numbers(below: wildcard)
    }
}

extension Dictionary where Key == String, Value == Int32 {
    /// The value that is there already; nil if `value` was added.
    fileprivate mutating func addIfNew(_ key: String, _ value: Int32) -> Int32? {
        if let known = self[key] { return known }
        self[key] = value
        return nil
    }
}

/// Names in the order of their reversed octets, so that all names with one suffix are neighbours.
struct BackwardNames {
    private var all: [(octets: [UInt8], number: Int32)] = []

    init(_ names: [(name: String, number: Int32)]) {
        all = names.map { ($0.name.utf8.reversed(), $0.number) }
        all.sort { $0.octets.lexicographicallyPrecedes($1.octets) }
    }

    /// The numbers of the names that a wildcard covers, other than itself, ascending. It does not examine the other
    /// names.
    func numbers(below wildcard: String) -> [Int32] {
        let own = Array(wildcard.utf8.reversed())
        let suffix = own.dropLast()
        return all[first(suffix)...].prefix { $0.octets.starts(with: suffix) }
            .filter { $0.octets.count > suffix.count && $0.octets != own }.map(\.number).sorted()
    }

    /// Whether a name has that suffix. A binary search finds it, so that not all names are looked at.
    func hasName(endingWith suffix: Substring) -> Bool {
        let wanted = Array(suffix.utf8.reversed())
        return all[first(wanted)...].first?.octets.starts(with: wanted) ?? false
    }

    private func first(_ wanted: some Sequence<UInt8>) -> Int {
        var (low, high) = (0, all.count)
        while low < high {
            let middle = (low + high) / 2
            if all[middle].octets.lexicographicallyPrecedes(wanted) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
