internal import Octets
internal import Patterns

/// Builds the slabs of a `RouteTable`. Rule sets are added first, in order, then hosts.
struct RouteTableBuilder {
    var keys: KeyTableBuilder
    private(set) var sets: [CompiledSet] = []
    private(set) var lengths: [Int32] = []
    private(set) var prefixes: [CompiledPrefix] = []
    private(set) var candidates: [CompiledEntry] = []
    private var entryCount: Int32 = 0
    private(set) var conditions: [CompiledCondition] = []
    private(set) var patterns: [Pattern] = []
    private(set) var suffixLengths = LengthSet()
    private(set) var catchAll: Int32 = -1
    private var patternNumbers: [ObjectIdentifier: Int32] = [:]

    init(hosts: Int) { keys = KeyTableBuilder(capacity: hosts) }

    /// Adds a host. A name that was added before keeps its first rules.
    mutating func add(_ host: HostEntry) {
        let set = Int32(clamping: host.ruleSet)
        if host.name == "*" {
            if catchAll < 0 { catchAll = set }
        } else if host.name.hasPrefix("*.") {
            let key = keys.append(String(host.name.dropFirst()))
            suffixLengths.insert(Int(key.count))
            if keys.value(key, scope: Scope.suffix) == nil {
                keys.set(key, scope: Scope.suffix, to: set)
            }
        } else {
            let key = keys.append(host.name)
            if keys.value(key, scope: Scope.host) == nil {
                keys.set(key, scope: Scope.host, to: set)
            }
        }
    }

    /// Adds the rules of one virtual host.
    mutating func add(_ rules: [Rule]) {
        var groups = Groups()
        for rule in rules {
            if rule.matches.isEmpty { groups.others.append(entry(RuleMatch(), rule.route)) }
            for match in rule.matches { add(match, rule.route, to: &groups) }
        }
        let number = Int32(clamping: sets.count)
        var set = CompiledSet()
        set.others = list(groups.others)
        for index in [CompiledSet.Index.exact, .exactFolded] where !groups[index].isEmpty {
            set.indexes |= 1 << index.rawValue
            for (key, members) in grouped(groups[index]) {
                prefixes.append(CompiledPrefix(candidates: list(members), shorter: -1))
                keys.set(
                    key, scope: Scope.of(number, index), to: Int32(clamping: prefixes.count - 1))
            }
        }
        for index in [CompiledSet.Index.prefix, .prefixFolded] where !groups[index].isEmpty {
            set.indexes |= 1 << index.rawValue
            let run = addPrefixes(grouped(groups[index]), scope: Scope.of(number, index))
            if index == .prefix { set.lengths = run } else { set.foldedLengths = run }
        }
        sets.append(set)
    }

    /// The items by their keys: keys in the order of their octets, the entries of one in their own. No hash table is
    /// made, because most virtual hosts have a few paths.
    private func grouped(_ items: [Item]) -> [(key: Run, members: [CompiledEntry])] {
        guard items.count > 1 else { return items.map { ($0.key, [$0.entry]) } }
        let sorted = items.sorted { left, right in
            left.key == right.key ? left.entry.order < right.entry.order : keys.precedes(left.key, right.key)
        }
        var groups: [(key: Run, members: [CompiledEntry])] = []
        for item in sorted {
            if let last = groups.last, last.key == item.key {
                groups[groups.count - 1].members.append(item.entry)
            } else {
                groups.append((item.key, [item.entry]))
            }
        }
        return groups
    }

    private mutating func add(_ match: RuleMatch, _ route: Int, to groups: inout Groups) {
        let item = entry(match, route)
        switch match.path {
        case .exact(let text, let ignoring):
            let key = keys.intern(ignoring ? Self.lowercased(text) : text)
            groups[ignoring ? .exactFolded : .exact].append(Item(key: key, entry: item))
        case .prefix(let text, let ignoring) where text != "/" && !text.isEmpty:
            let key = keys.intern(ignoring ? Self.lowercased(text) : text)
            groups[ignoring ? .prefixFolded : .prefix].append(Item(key: key, entry: item))
        // `/` and the empty prefix are tested in their place, because no index is faster.
        case .prefix, .regex, nil:
            groups.others.append(item)
        }
    }

    /// A text with ASCII capitals in lower case, as the matcher compares it.
    static func lowercased(_ text: String) -> String {
        String(decoding: text.utf8.map(\.lowercased), as: UTF8.self)
    }

    private mutating func list(_ members: [CompiledEntry]) -> Run {
        let first = candidates.count
        for member in members {
            candidates.append(member)
            // Entries after one without further conditions can never be the first to hold.
            if member.conditions.count == 0 && !member.needsSlash { break }
        }
        return Run(first, candidates.count - first)
    }

    /// An entry that is found by a key. Equal keys of this table are at one place.
    private struct Item {
        let key: Run
        let entry: CompiledEntry
    }

    /// Entries, grouped by how they are found.
    private struct Groups {
        var others: [CompiledEntry] = []
        private var exact: [Item] = []
        private var exactFolded: [Item] = []
        private var prefix: [Item] = []
        private var prefixFolded: [Item] = []

        subscript(index: CompiledSet.Index) -> [Item] {
            get {
                switch index {
                case .exact: exact
                case .exactFolded: exactFolded
                case .prefix: prefix
                case .prefixFolded: prefixFolded
                }
            }
            _modify {
                switch index {
                case .exact: yield &exact
                case .exactFolded: yield &exactFolded
                case .prefix: yield &prefix
                case .prefixFolded: yield &prefixFolded
                }
            }
        }
    }
}

// MARK: - Prefixes

extension RouteTableBuilder {
    /// Adds prefixes, and for each of them the shorter keys that lead the binary search to it.
    /// - Parameter groups: in the order of their keys.
    private mutating func addPrefixes(_ groups: [(key: Run, members: [CompiledEntry])], scope: Int32) -> Run {
        guard groups.count > 1 else { return addPrefix(groups[0], scope: scope) }
        let distinct = Set(groups.map(\.key.count)).sorted()
        let run = Run(lengths.count, distinct.count)
        lengths.append(contentsOf: distinct)
        var steps: [Run] = []
        for group in groups { appendSteps(of: group.key, distinct, to: &steps) }
        link(ordered(groups, steps), groups, scope: scope)
        return run
    }

    /// The only prefix of a virtual host has no shorter ones.
    private mutating func addPrefix(_ group: (key: Run, members: [CompiledEntry]), scope: Int32) -> Run {
        lengths.append(group.key.count)
        prefixes.append(CompiledPrefix(candidates: list(group.members), shorter: -1))
        keys.set(group.key, scope: scope, to: Int32(clamping: prefixes.count - 1))
        return Run(lengths.count - 1, 1)
    }

    /// The shorter keys that a binary search for `key` must find.
    private func appendSteps(of key: Run, _ lengths: [Int32], to steps: inout [Run]) {
        var low = 0
        var high = lengths.count
        while low < high {
            let middle = (low + high) / 2
            if lengths[middle] == key.count { return }
            if lengths[middle] < key.count {
                steps.append(Run(first: key.first, count: lengths[middle]))
                low = middle + 1
            } else {
                high = middle
            }
        }
    }

    /// All keys in the order of their octets: a prefix comes before longer texts, and a real key before an equal step.
    /// - Returns: with the number of its group; below zero for a step.
    private func ordered(
        _ groups: [(key: Run, members: [CompiledEntry])], _ steps: [Run]
    ) -> [(key: Run, group: Int)] {
        let real = groups.indices.map { (key: groups[$0].key, group: $0) }
        guard !steps.isEmpty else { return real }
        return (real + steps.map { (key: $0, group: -1) }).sorted { left, right in
            keys.precedes(left.key, right.key)
                || (!keys.precedes(right.key, left.key) && left.group >= 0 && right.group < 0)
        }
    }

    /// Links every key to its longest real prefix, which is the top of a stack of its prefixes.
    private mutating func link(
        _ ordered: [(key: Run, group: Int)], _ groups: [(key: Run, members: [CompiledEntry])], scope: Int32
    ) {
        var stack: [(key: Run, number: Int32)] = []
        for (key, group) in ordered {
            while let top = stack.last, !contains(top.key, key) { stack.removeLast() }
            let shorter = stack.last?.number ?? -1
            if group < 0 {
                if keys.value(key, scope: scope) != nil { continue }
                prefixes.append(CompiledPrefix(candidates: .none, shorter: shorter))
                keys.set(key, scope: scope, to: Int32(clamping: prefixes.count - 1))
                continue
            }
            let number = Int32(clamping: prefixes.count)
            prefixes.append(CompiledPrefix(candidates: list(groups[group].members), shorter: shorter))
            keys.set(key, scope: scope, to: number)
            stack.append((key, number))
        }
    }

    private func contains(_ short: Run, _ long: Run) -> Bool {
        keys.withOctets(short) { prefix in keys.withOctets(long) { $0.hasPrefix(prefix) } }
    }
}

// MARK: - Conditions

extension RouteTableBuilder {
    private mutating func entry(_ match: RuleMatch, _ route: Int) -> CompiledEntry {
        let first = conditions.count
        var needsSlash = false
        switch match.path {
        case .prefix("/", _): needsSlash = true
        case .regex(let pattern): conditions.append(condition(.path, .regex(pattern)))
        default: break
        }
        for source in match.conditions {
            if let compiled = compile(source) { conditions.append(compiled) }
        }
        defer { entryCount += 1 }
        return CompiledEntry(
            order: entryCount, route: Int32(clamping: route),
            conditions: Run(first, conditions.count - first),
            needsSlash: needsSlash)
    }

    /// Compiles a condition; nil if it needs no test.
    private mutating func compile(_ source: Condition) -> CompiledCondition? {
        switch source.subject {
        case .header(let name): header(name, source.test, .header)
        case .withoutHeader(let name): header(name, source.test, .withoutHeader)
        case .method: condition(.method, source.test)
        case .scheme: condition(.scheme, source.test)
        case .authority: condition(.authority, source.test)
        case .port: condition(.port, source.test)
        case .query(let name): condition(.query, source.test, name: name)
        case .assumed: nil
        }
    }

    private mutating func header(
        _ name: String, _ test: TextTest, _ subject: CompiledCondition.Subject
    ) -> CompiledCondition {
        guard subject == .header else { return condition(subject, test, name: name) }
        return switch name {
        case ":method": condition(.method, test)
        case ":scheme": condition(.scheme, test)
        case ":authority", "host": condition(.authority, test)
        case ":path": condition(.pathAndQuery, test)
        default: condition(subject, test, name: name)
        }
    }

    private mutating func condition(
        _ subject: CompiledCondition.Subject, _ test: TextTest, name: String = ""
    ) -> CompiledCondition {
        let kind: CompiledCondition.Test
        var value = Run.none
        var pattern: Int32 = -1
        switch test {
        case .present: kind = .present
        case .exact(let text): (kind, value) = (.exact, keys.intern(text))
        case .prefix(let text): (kind, value) = (.prefix, keys.intern(text))
        case .regex(let expression): (kind, pattern) = (.regex, number(of: expression))
        }
        return CompiledCondition(
            subject: subject, test: kind, name: keys.intern(name), value: value, pattern: pattern)
    }

    private mutating func number(of pattern: Pattern) -> Int32 {
        if let known = patternNumbers[ObjectIdentifier(pattern)] { return known }
        let number = Int32(clamping: patterns.count)
        patterns.append(pattern)
        patternNumbers[ObjectIdentifier(pattern)] = number
        return number
    }
}
