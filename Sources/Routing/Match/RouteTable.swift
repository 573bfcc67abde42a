package import Octets
internal import Patterns

/// One virtual host of a table.
package struct HostEntry: Sendable {
    /// In lower case: a name, `*.suffix` or `*`.
    package let name: String
    /// Index into the table's rule sets; hosts with the same rules share one.
    package let ruleSet: Int

    package init(name: String, ruleSet: Int) {
        self.name = name
        self.ruleSet = ruleSet
    }
}

/// Finds the first rule, in order, whose conditions hold for a request.
///
/// What was compiled is kept in a few flat slabs: one hash table for all hosts and paths, lists of candidates in order,
/// and conditions. The longest prefix is found by a binary search over the distinct lengths of a host's prefixes
/// (Waldvogel's scheme: shorter keys lead the search to longer ones), and each prefix knows the next shorter one. So a
/// match costs the same with one rule and with a hundred thousand, but each nested prefix, each regular expression and
/// each rule without a path adds to it. Matching allocates, locks and retains nothing.
///
/// Thread: any. Freed by: the last plan that has it.
@safe package final class RouteTable: Sendable {
    /// The hosts and rules that were compiled, for `routes`, `explain` and the tests.
    package let hosts: [HostEntry]
    /// The rules of each rule set, in order.
    package let ruleSets: [[Rule]]

    @usableFromInline let keys: KeyTable
    @usableFromInline let sets: Slab<CompiledSet>
    @usableFromInline let lengths: Slab<Int32>
    @usableFromInline let prefixes: Slab<CompiledPrefix>
    @usableFromInline let candidates: Slab<CompiledEntry>
    @usableFromInline let conditions: Slab<CompiledCondition>
    @usableFromInline let suffixLengths: LengthSet
    /// The rule set of the host `*`; below zero if there is none.
    @usableFromInline let catchAll: Int32
    private let patterns: [Pattern]    // keeps `patternAddresses` alive
    @usableFromInline let patternAddresses: Slab<UInt>

    /// Compiles hosts and their rules.
    package init(hosts: [HostEntry], ruleSets: [[Rule]]) {
        var builder = RouteTableBuilder(hosts: hosts.count)
        for rules in ruleSets { builder.add(rules) }
        for host in hosts { builder.add(host) }
        self.hosts = hosts
        self.ruleSets = ruleSets
        keys = builder.keys.build()
        sets = Slab(builder.sets)
        lengths = Slab(builder.lengths)
        prefixes = Slab(builder.prefixes)
        candidates = Slab(builder.candidates)
        conditions = Slab(builder.conditions)
        suffixLengths = builder.suffixLengths
        catchAll = builder.catchAll
        patterns = builder.patterns
        patternAddresses = Slab(
            builder.patterns.map {
                unsafe UInt(bitPattern: Unmanaged.passUnretained($0).toOpaque())
            })
    }

    deinit {
        keys.slots.free()
        keys.text.free()
        sets.free()
        lengths.free()
        prefixes.free()
        candidates.free()
        conditions.free()
        patternAddresses.free()
    }

    /// The route of a request. Any thread may call it at any time.
    @inlinable package func match<R: RoutableRequest & ~Copyable>(_ request: borrowing R)
        -> RouteMatch
    {
        let host = Self.host(of: request.authority)
        let number = ruleSet(of: host)
        guard number >= 0 else { return .noHost }
        let set = sets[number]
        let path = Self.pathOnly(request.path)
        var best = BestEntry()
        if set.has(.exact) { tryExact(path, number, folded: false, request, &best) }
        if set.has(.exactFolded) { tryExact(path, number, folded: true, request, &best) }
        if set.has(.prefix) {
            tryPrefixes(path, number, set.lengths, folded: false, request, &best)
        }
        if set.has(.prefixFolded) {
            tryPrefixes(path, number, set.foldedLengths, folded: true, request, &best)
        }
        if set.others.count > 0 { tryCandidates(set.others, path, request, &best) }
        if best.work.isExceeded { return .tooCostly }
        return best.route < 0 ? .noRoute : .route(Int(best.route))
    }

    @inlinable func tryExact<R: RoutableRequest & ~Copyable>(
        _ path: Octets, _ set: Int32, folded: Bool, _ request: borrowing R, _ best: inout BestEntry
    ) {
        let found = keys.value(
            path, scope: Scope.of(set, folded ? .exactFolded : .exact), folded: folded)
        if found >= 0 { tryCandidates(prefixes[found].candidates, path, request, &best) }
    }

    /// Finds the longest prefix by halving the list of lengths, then follows its shorter ones.
    @inlinable func tryPrefixes<R: RoutableRequest & ~Copyable>(
        _ path: Octets, _ set: Int32, _ run: Run, folded: Bool, _ request: borrowing R,
        _ best: inout BestEntry
    ) {
        let scope = Scope.of(set, folded ? .prefixFolded : .prefix)
        var low = run.first
        var high = run.first + run.count
        var longest: Int32 = -1
        while low < high {
            let middle = (low + high) / 2
            let length = Int(lengths[middle])
            let found =
                length > path.count
                ? -1 : keys.value(path.prefix(length), scope: scope, folded: folded)
            if found >= 0 {
                longest = found
                low = middle + 1
            } else {
                high = middle
            }
        }
        while longest >= 0 {
            let prefix = prefixes[longest]
            if prefix.candidates.count > 0 {
                tryCandidates(prefix.candidates, path, request, &best)
            }
            longest = prefix.shorter
        }
    }

    /// Looks for the first entry of an ascending list, below `best`, whose conditions hold.
    @inlinable func tryCandidates<R: RoutableRequest & ~Copyable>(
        _ run: Run, _ path: Octets, _ request: borrowing R, _ best: inout BestEntry
    ) {
        for index in run.first..<(run.first + run.count) {
            let entry = candidates[index]
            guard entry.order < best.order else { return }
            if entry.needsSlash, path.isEmpty || path[0] != UInt8(ascii: "/") { continue }
            guard holds(entry.conditions, path, request, &best.work) else { continue }
            best.order = entry.order
            best.route = entry.route
            return
        }
    }
}

// MARK: - Hosts

extension RouteTable {
    /// The authority without its port and without one dot at its end. Istio keeps the dot and answers 404. Portico
    /// drops it, because the name is the same with and without it.
    @inlinable package static func host(of authority: Octets) -> Octets {
        var end = authority.count
        while end > 0, authority[end - 1].isDigit { end -= 1 }
        if end > 0, authority[end - 1] == UInt8(ascii: ":") {
            end -= 1
        } else {
            end = authority.count
        }
        if end > 1, authority[end - 1] == UInt8(ascii: ".") { end -= 1 }
        return authority.prefix(end)
    }

    /// The digits after the authority's last colon; empty if it has no port.
    @inlinable package static func port(of authority: Octets) -> Octets {
        var start = authority.count
        while start > 0, authority[start - 1].isDigit { start -= 1 }
        return start > 0 && authority[start - 1] == UInt8(ascii: ":")
            ? authority.dropFirst(start) : .empty
    }

    /// The path up to its query or fragment.
    @inlinable package static func pathOnly(_ target: Octets) -> Octets {
        guard let end = target.firstIndex(of: UInt8(ascii: "?"), or: UInt8(ascii: "#")) else { return target }
        return target.prefix(end)
    }

    /// The rule set of a host: the exact host's, else that of the longest wildcard, else that of `*`; below zero if
    /// there is none.
    @inlinable func ruleSet(of host: Octets) -> Int32 {
        let exact = keys.value(host, scope: Scope.host, folded: true)
        if exact >= 0 { return exact }
        guard !suffixLengths.isEmpty, host.count > 1 else { return catchAll }
        for index in 1..<host.count where host[index] == UInt8(ascii: ".") {
            guard suffixLengths.contains(host.count - index) else { continue }
            let found = keys.value(host.dropFirst(index), scope: Scope.suffix, folded: true)
            if found >= 0 { return found }
        }
        return catchAll
    }
}
