/// Which failed connections get a line on standard error: an endpoint that is down fails with every request. One line a
/// second for each worker; the next line says how many failed without one.
struct ConnectFailures {
    private var second = Int.min
    private var untold = 0

    /// - Parameter now: the present in whole seconds.
    /// - Returns: the line; nil when this second has had one.
    mutating func line(endpoint: String, _ reason: String, at now: Int) -> String? {
        guard now != second else {
            untold += 1
            return nil
        }
        second = now
        defer { untold = 0 }
        let rest = untold == 0 ? "" : "; \(untold) more connections failed since the last line of this kind"
        return "endpoint \(endpoint): \(reason)\(rest)"
    }
}
