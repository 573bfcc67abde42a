/// Which failed connections get a line on standard error: an endpoint that is down fails with every request. One line a
/// second for each worker; the next line says how many failed without one.
struct ConnectFailures {
    private var second = Int.min
    private var unlogged = 0

    /// - Parameters:
    ///   - advice: what to do about it; may be empty.
    ///   - now: the present in whole seconds.
    /// - Returns: the line; nil when this second has had one.
    mutating func line(endpoint: String, _ reason: String, advice: String = "", at now: Int) -> String? {
        guard now != second else {
            unlogged += 1
            return nil
        }
        second = now
        defer { unlogged = 0 }
        let rest = unlogged == 0 ? "" : "; \(unlogged) more connections failed since the last line of this kind"
        let remedy = advice.isEmpty ? "" : "; \(advice)"
        return "endpoint \(endpoint): \(reason)\(remedy)\(rest)"
    }
}
