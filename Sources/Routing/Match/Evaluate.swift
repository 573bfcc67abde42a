package import Octets
package import Patterns

// Tests the conditions of one match item on one request.
extension RouteTable {
    /// Whether all conditions of a match item hold.
    @inlinable func holds<R: RoutableRequest & ~Copyable>(
        _ run: Run, _ path: Octets, _ request: borrowing R, _ work: inout MatchWork
    ) -> Bool {
        for index in run.first..<(run.first + run.count)
        where !holds(conditions[index], path, request, &work) { return false }
        return true
    }

    /// Whether one condition is met.
    /// - Parameters:
    ///   - path: without the query.
    ///   - work: counts what the comparison costs.
    @inlinable func holds<R: RoutableRequest & ~Copyable>(
        _ condition: CompiledCondition, _ path: Octets, _ request: borrowing R, _ work: inout MatchWork
    ) -> Bool {
        switch condition.subject {
        case .header: headerHolds(condition, request, &work)
        case .withoutHeader: absenceHolds(condition, request, &work)
        case .method: test(condition, request.method, &work)
        case .scheme: test(condition, request.scheme, &work)
        case .authority: test(condition, request.authority, &work)
        case .port: test(condition, Self.port(of: request.authority), &work)
        case .pathAndQuery: test(condition, request.path, &work)
        case .path: test(condition, path, &work)
        case .query: queryHolds(condition, request.path, &work)
        }
    }

    /// Whether a text passes the test of a condition.
    @inlinable func test(_ condition: CompiledCondition, _ text: Octets, _ work: inout MatchWork) -> Bool {
        switch condition.test {
        case .present: return true
        case .exact:
            return mayCompare(condition.value, &work)
                && WordHash.equal(keys.text[condition.value], text, folded: false)
        case .prefix:
            let prefix = keys.text[condition.value]
            return text.count >= prefix.count && mayCompare(condition.value, &work)
                && WordHash.equal(prefix, text.prefix(prefix.count), folded: false)
        case .regex: return patternMatches(condition.pattern, text, &work)
        }
    }

    /// Whether the work allows comparing a text; eight octets are a step. Short texts are not counted, because finding
    /// them costs more than comparing them.
    @inlinable func mayCompare(_ value: Run, _ work: inout MatchWork) -> Bool {
        value.count <= 64 || work.spend(Int(value.count) / 8)
    }

    /// Whether an expression matches. It is not retained, because the table keeps its patterns as long as it lives.
    @usableFromInline func patternMatches(_ number: Int32, _ text: Octets, _ work: inout MatchWork) -> Bool {
        guard let address = unsafe UnsafeRawPointer(bitPattern: patternAddresses[number]) else {
            return false
        }
        return unsafe Unmanaged<Pattern>.fromOpaque(address)._withUnsafeGuaranteedRef {
            $0.matches(text, &work)
        }
    }

    /// The cost of looking for a field of a request, in steps.
    @inlinable static var headerSteps: Int { 64 }

    /// Whether a condition on a header holds. It never holds for an absent header; several values count as one list.
    @inlinable func headerHolds<R: RoutableRequest & ~Copyable>(
        _ condition: CompiledCondition, _ request: borrowing R, _ work: inout MatchWork
    ) -> Bool {
        let name = keys.text[condition.name]
        guard work.spend(Self.headerSteps), let first = request.firstHeader(name) else { return false }
        if condition.test == .present { return true }
        if request.headerCount(name) < 2 { return test(condition, first, &work) }
        return request.joinedHeader(name) { work.spend($0.count) && test(condition, $0, &work) }
    }

    /// Whether a condition of `withoutHeaders` holds: an absent header counts as the empty text, and the result
    /// is then inverted. Source: docs/istio.md, Absent headers.
    @inlinable func absenceHolds<R: RoutableRequest & ~Copyable>(
        _ condition: CompiledCondition, _ request: borrowing R, _ work: inout MatchWork
    ) -> Bool {
        let name = keys.text[condition.name]
        guard work.spend(Self.headerSteps), let first = request.firstHeader(name) else {
            return condition.test == .present || !test(condition, .empty, &work)
        }
        if condition.test == .present { return false }
        if request.headerCount(name) < 2 { return !test(condition, first, &work) }
        return !request.joinedHeader(name) { work.spend($0.count) && test(condition, $0, &work) }
    }

    @inlinable func queryHolds(
        _ condition: CompiledCondition, _ target: Octets, _ work: inout MatchWork
    ) -> Bool {
        guard work.spend(target.count), let value = Self.queryValue(keys.text[condition.name], in: target) else {
            return false
        }
        return test(condition, value, &work)
    }

    /// The raw value of the first query parameter of this name; empty if it has no `=`, nil if there is none.
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
