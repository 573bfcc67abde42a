internal import Glibc

/// Every flag is also an environment variable: `--listen-map` is `PORTICO_LISTEN_MAP`.
/// A flag on the command line wins. Repeatable flags take several values separated by commas.
enum EnvironmentOptions {
    private static let single = [
        "workers", "admin", "status", "mesh", "cluster-domain", "namespace", "root-namespace", "drain",
        "drain-accept", "load-limit", "local-endpoints", "log-level", "log-format", "access-log",
        "max-concurrent-streams",
    ]
    private static let repeatable = ["config", "label", "listen-map"]
    /// What `check` and `routes` have of these.
    private static let definitions = ["cluster-domain", "namespace", "root-namespace", "label", "local-endpoints"]

    static func merged(into arguments: [String]) -> [String] {
        guard let command = arguments.first, ["serve", "check", "routes"].contains(command) else { return arguments }
        let names = command == "serve" ? single + repeatable : definitions
        var merged = arguments
        for name in names where !isGiven(name, in: arguments) {
            guard let value = value(of: name) else { continue }
            let values = repeatable.contains(name) ? value.split(separator: ",").map(String.init) : [value]
            for value in values { merged += ["--\(name)", value] }
        }
        return merged
    }

    private static func isGiven(_ name: String, in arguments: [String]) -> Bool {
        arguments.contains { $0 == "--\(name)" || $0.hasPrefix("--\(name)=") }
    }

    private static func value(of name: String) -> String? {
        let variable = "PORTICO_" + name.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
        guard let text = unsafe getenv(variable) else { return nil }
        let value = unsafe String(cString: text)
        return value.isEmpty ? nil : value
    }
}
