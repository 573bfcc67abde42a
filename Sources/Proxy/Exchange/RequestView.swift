internal import HTTP
internal import Octets
internal import Routing

/// A header block as the route table wants to see it.
struct RequestView: RoutableRequest {
    let path: Octets
    let authority: Octets
    let method: Octets
    let scheme: Octets
    unowned(unsafe) let block: HeaderBlock    // held by the exchange during the match
    unowned(unsafe) let joined: JoinedHeaders    // the worker's

    /// The block is as the client sent it. What a client says of the scheme of its connection counts nowhere, so a
    /// condition on the field sees the connection's, or what a trusted proxy in front says; the rules ask for path and
    /// authority by themselves.
    func firstHeader(_ name: Octets) -> Octets? {
        let value = unsafe block.first(named: name)
        return value != nil && name == ":scheme" ? scheme : value
    }

    /// Counts fields of that name, which costs a pass over the section unless they were joined before.
    func headerCount(_ name: Octets) -> Int {
        // What was joined was counted before; nobody asks for more than "several".
        if unsafe joined.find(name) != nil { return 2 }
        var count = 0
        for field in unsafe block.fields where field.name == name { count += 1 }
        return count
    }

    /// Joins fields of one name once, however many rules of the match ask: the worker keeps the text.
    func joinedHeader(_ name: Octets, _ body: (Octets) -> Bool) -> Bool {
        if let known = unsafe self.joined.find(name) { return body(known.octets) }
        let joined = unsafe self.joined.begin(name)
        let joint = HeaderJoint.of(name)
        var isFirst = true
        for field in unsafe block.fields where field.name == name {
            if !isFirst { joined.append(joint) }
            isFirst = false
            joined.append(field.value)
        }
        return body(joined.octets)
    }
}

/// The values of fields that stand several times in a request, joined once, however many rules look at
/// them. Worker's; emptied before each match.
///
/// Thread: its worker's. Freed by: `WorkerServices`.
final class JoinedHeaders {
    private var entries: [(name: Octets, values: OctetBuffer)] = []
    private var used = 0    // how many of `entries` are of this request
    /// Names; beyond, the last one gives way.
    private static let mostNames = 8
    /// Of each buffer, kept for the next request.
    private static let keptOctets = 4096

    /// Forgets the values of the last request.
    @inline(__always) func clear() { if used > 0 { used = 0 } }

    /// The joined values of a field that was noted before; nil if it was not.
    func find(_ name: Octets) -> OctetBuffer? {
        for index in 0..<used where entries[index].name == name { return entries[index].values }
        return nil
    }

    /// An empty buffer for a name; the name's octets outlive the match.
    func begin(_ name: Octets) -> OctetBuffer {
        let index = min(used, Self.mostNames - 1)
        if index == entries.count { entries.append((name, OctetBuffer(capacity: 256))) }
        entries[index].name = name
        entries[index].values.clear(keeping: Self.keptOctets)
        used = index + 1
        return entries[index].values
    }
}
