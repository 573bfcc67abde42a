/// The counters of one worker for connections that are relayed as octets. Only the worker's thread writes them.
///
/// Thread: its worker's writes, any reads. Freed by: its `WorkerMetrics`.
final class RelayMetrics: Sendable {
    /// Series of ended relays beyond which further ones share one, and the same of octets.
    private static let endedLimit = 10_000, octetsLimit = 1_000

    private let totals = MetricsPage(count: 2)    // those that began, and those that ended
    /// By route and flag.
    private let endings = MetricsSeries(width: 1, limit: endedLimit, overflow: key(Metrics.otherRoute, .none))
    /// By route: octets from clients, and from endpoints.
    private let octets = MetricsSeries(width: 2, limit: octetsLimit, overflow: UInt64(Metrics.otherRoute))

    private static func key(_ route: Int, _ flag: ResponseFlag) -> UInt64 {
        let place = ResponseFlag.allCases.firstIndex(of: flag) ?? 0
        return UInt64(UInt32(exactly: route) ?? UInt32(Metrics.otherRoute)) << 8 | UInt64(place)
    }

    // MARK: for the worker's thread

    /// Counts a relay that begins.
    func began() { totals[0].add(1) }

    /// Counts a relay that is over, by its route and the flag of its access log line.
    func ended(route: Int, flag: ResponseFlag) {
        totals[1].add(1)
        endings.first(of: Self.key(route, flag)).add(1)
    }

    /// Counts octets from the client (up) or from the endpoint.
    func passed(_ count: Int, isUp: Bool, route: Int) {
        let run = octets.first(of: UInt64(UInt32(exactly: route) ?? UInt32(Metrics.otherRoute)))
        run.following(isUp ? 0 : 1).add(UInt64(count))
    }

    // MARK: for the reader

    /// Relays that go on. The two counters are read one after the other.
    var active: UInt64 {
        let over = totals[1].value
        let all = totals[0].value
        return all > over ? all - over : 0
    }

    /// Calls `body` for each route and flag.
    func readEndings(_ body: (_ route: Int, _ flag: ResponseFlag, _ count: UInt64) -> Void) {
        endings.read { key, values in
            let place = Int(key & 0xff)
            guard ResponseFlag.allCases.indices.contains(place) else { return }
            body(Int(key >> 8), ResponseFlag.allCases[place], values[0])
        }
    }

    /// The octets that were relayed for each route: up to its endpoints, and down to clients.
    func readOctets(_ body: (_ route: Int, _ up: UInt64, _ down: UInt64) -> Void) {
        octets.read { key, values in body(Int(key), values[0], values[1]) }
    }
}
