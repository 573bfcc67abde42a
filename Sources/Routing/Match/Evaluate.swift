package import Octets
internal import Patterns

// The conditions of one match item against one request.
extension RouteTable {
    @inlinable func holds<R: RoutableRequest & ~Copyable>(
        _ run: Run, _ path: Octets, _ request: borrowing R
    ) -> Bool {
        for index in run.first..<(run.first + run.count)
        where !holds(conditions[index], path, request) { return false }
        return true
    }

    @inlinable func holds<R: RoutableRequest & ~Copyable>(
        _ condition: CompiledCondition, _ path: Octets, _ request: borrowing R
    ) -> Bool {
        switch condition.subject {
        case .header: headerHolds(condition, request)
        case .withoutHeader: absenceHolds(condition, request)
        case .method: test(condition, request.method)
        case .scheme: test(condition, request.scheme)
        case .authority: test(condition, request.authority)
        case .port: test(condition, Self.port(of: request.authority))
        case .pathAndQuery: test(condition, request.path)
        case .path: test(condition, path)
        case .query: queryHolds(condition, request.path)
        }
    }

    @inlinable func test(_ condition: CompiledCondition, _ text: Octets) -> Bool {
        switch condition.test {
        case .present: return true
        case .exact: return WordHash.equal(keys.text[condition.value], text, folded: false)
        case .prefix:
            let prefix = keys.text[condition.value]
            return text.count >= prefix.count
                && WordHash.equal(prefix, text.prefix(prefix.count), folded: false)
        case .regex: return patternMatches(condition.pattern, text)
        }
    }

    /// Without retaining: the table keeps its patterns as long as it lives.
    @usableFromInline func patternMatches(_ number: Int32, _ text: Octets) -> Bool {
        guard let address = unsafe UnsafeRawPointer(bitPattern: patternAddresses[number]) else {
            return false
        }
        return unsafe Unmanaged<Pattern>.fromOpaque(address)._withUnsafeGuaranteedRef {
            $0.matches(text)
        }
    }

    /// An absent header fails every positive condition; several values count as one list.
    @inlinable func headerHolds<R: RoutableRequest & ~Copyable>(
        _ condition: CompiledCondition, _ request: borrowing R
    ) -> Bool {
        let name = keys.text[condition.name]
        guard let first = request.firstHeader(name) else { return false }
        if condition.test == .present { return true }
        if request.headerCount(name) < 2 { return test(condition, first) }
        return request.joinedHeader(name) { test(condition, $0) }
    }

    /// Source: istio-api.md M11: an absent header counts as the empty text, then the result turns.
    @inlinable func absenceHolds<R: RoutableRequest & ~Copyable>(
        _ condition: CompiledCondition, _ request: borrowing R
    ) -> Bool {
        let name = keys.text[condition.name]
        guard let first = request.firstHeader(name) else {
            return condition.test == .present || !test(condition, .empty)
        }
        if condition.test == .present { return false }
        if request.headerCount(name) < 2 { return !test(condition, first) }
        return !request.joinedHeader(name) { test(condition, $0) }
    }

    @inlinable func queryHolds(_ condition: CompiledCondition, _ target: Octets) -> Bool {
        guard let value = Self.queryValue(keys.text[condition.name], in: target) else {
            return false
        }
        return test(condition, value)
    }

    /// The raw value of a query parameter's first occurrence; empty when it has no `=`.
    package static func queryValue(_ name: Octets, in target: Octets) -> Octets? {
        var end = target.count
        if let fragment = target.firstIndex(of: UInt8(ascii: "#")) { end = fragment }
        guard let mark = target.prefix(end).firstIndex(of: UInt8(ascii: "?")) else { return nil }
        var rest = target.slice(mark + 1, end)
        while !rest.isEmpty {
            let stop = rest.firstIndex(of: UInt8(ascii: "&")) ?? rest.count
            let parameter = rest.prefix(stop)
            let sign = parameter.firstIndex(of: UInt8(ascii: "=")) ?? parameter.count
            if sign == name.count, parameter.prefix(sign) == name {
                return parameter.dropFirst(sign + 1)
            }
            rest = rest.dropFirst(stop + 1)
        }
        return nil
    }
}
