internal import HTTP
internal import Octets
internal import Routing

/// A header block as the route table wants to see it.
struct RequestView: RoutableRequest {
    let path: Octets
    let authority: Octets
    let method: Octets
    let scheme: Octets
    unowned(unsafe) let block: HeaderBlock      // held by the exchange during the match

    func firstHeader(_ name: Octets) -> Octets? { unsafe block.first(named: name) }

    func headerCount(_ name: Octets) -> Int {
        var count = 0
        for field in unsafe block.fields where field.name == name { count += 1 }
        return count
    }

    func joinedHeader(_ name: Octets, _ body: (Octets) -> Bool) -> Bool {
        let joined = OctetBuffer(capacity: 256)
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
