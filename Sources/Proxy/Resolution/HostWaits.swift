/// What waits on one worker until a host that it has named is resolved.
///
/// Thread: its worker's. Freed by: `WorkerServices`.
final class HostWaits {
    /// Requests and connections that may wait at a time on one worker. Envoy has as many in all
    /// (DnsCacheCircuitBreakers.max_pending_requests).
    static let limit = 1024

    private struct Waiting {
        let host: RequestedHost    // keeps its identity from being another's
        var exchanges: Set<Int> = []
        var relays: [ObjectIdentifier: Relay] = [:]

        var isEmpty: Bool { exchanges.isEmpty && relays.isEmpty }
    }

    private var waiting: [ObjectIdentifier: Waiting] = [:]
    private(set) var count = 0

    /// Whether one more may wait.
    var hasRoom: Bool { count < Self.limit }

    /// An exchange waits for the addresses of a host. It counts once, however often it asks.
    func join(_ exchange: Int, _ host: RequestedHost) {
        if waiting[ObjectIdentifier(host), default: Waiting(host: host)].exchanges.insert(exchange).inserted {
            count += 1
        }
    }

    /// A relay waits for the addresses of a host. It counts once, however often it asks.
    func join(_ relay: Relay, _ host: RequestedHost) {
        let before = waiting[ObjectIdentifier(host), default: Waiting(host: host)].relays.updateValue(
            relay, forKey: ObjectIdentifier(relay))
        if before == nil { count += 1 }
    }

    /// An exchange waits no more.
    func leave(_ exchange: Int, _ host: RequestedHost) {
        if waiting[ObjectIdentifier(host)]?.exchanges.remove(exchange) != nil { left(host) }
    }

    /// A relay waits no more.
    func leave(_ relay: Relay, _ host: RequestedHost) {
        if waiting[ObjectIdentifier(host)]?.relays.removeValue(forKey: ObjectIdentifier(relay)) != nil { left(host) }
    }

    private func left(_ host: RequestedHost) {
        count -= 1
        if waiting[ObjectIdentifier(host)]?.isEmpty == true { waiting[ObjectIdentifier(host)] = nil }
    }

    /// Takes out all that wait for a host.
    func take(_ host: RequestedHost) -> (exchanges: [Int], relays: [Relay]) {
        guard let all = waiting.removeValue(forKey: ObjectIdentifier(host)) else { return ([], []) }
        count -= all.exchanges.count + all.relays.count
        return (all.exchanges.sorted(), Array(all.relays.values))
    }

    /// The worker ends.
    func clear() {
        waiting = [:]
        count = 0
    }
}
