internal import Balancing
internal import Routing

/// The one object of each endpoint, as long as a cluster has it: (service, port, address) → `EndpointState`.
/// The control plane's thread only.
struct EndpointStates {
    /// What makes two endpoints the same one: their counts go on over reloads.
    struct Key: Hashable {
        let host: String
        let port: Int
        let address: EndpointAddress
    }

    private struct Entry {
        let state: EndpointState
        var users: Int    // clusters that have it
    }

    private var known: [Key: Entry] = [:]
    private var released: [Key] = []    // not counted down yet
    private let numbers = EndpointNumbers()
    private let countedBefore: (Int) -> UInt64

    /// - Parameter countedBefore: what metrics have counted so far under a number.
    init(countedBefore: @escaping (Int) -> UInt64) { self.countedBefore = countedBefore }

    /// The state of an endpoint, made when it is new. Each call is paid back by one of `release`.
    mutating func take(_ key: Key) -> EndpointState {
        if let entry = known[key] {
            known[key]?.users += 1
            return entry.state
        }
        let state = EndpointState(address: key.address, numbers: numbers, countedBefore: countedBefore)
        known[key] = Entry(state: state, users: 1)
        return state
    }

    /// One cluster has it no more; another one may take it before `settle`.
    mutating func release(_ key: Key) { released.append(key) }

    /// Whether a cluster has it: it was found good then.
    func has(_ key: Key) -> Bool { known[key] != nil }

    /// Counts what was released. - Returns: the numbers of endpoints that no cluster has any more.
    mutating func settle() -> [Int] {
        var left: [Int] = []
        for key in released {
            guard var entry = known[key] else { continue }
            entry.users -= 1
            known[key] = entry.users > 0 ? entry : nil
            guard entry.users == 0 else { continue }
            entry.state.leave()
            left.append(entry.state.number)
        }
        released = []
        return left
    }
}
