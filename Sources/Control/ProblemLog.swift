internal import Logging
internal import Manifests

/// Logs what is wrong with the definitions. With a cluster, loads are frequent and begin by themselves: then a problem
/// is logged when it is new.
struct ProblemLog {
    private let log: Logger
    private var logged: Set<String> = []

    init(_ log: Logger) { self.log = log }

    /// Logs the problems of a load.
    /// - Parameter isRepeated: also those that the last load had.
    mutating func report(_ configuration: Configuration, isRepeated: Bool) {
        let before = isRepeated ? [] : logged
        logged.removeAll(keepingCapacity: true)
        /// Logs a sentence, unless the last load had it.
        func say(_ level: Logger.Level, _ text: String) {
            logged.insert(text)
            if !before.contains(text) { log.log(level: level, "\(text)") }
        }
        for diagnostic in configuration.diagnostics {
            switch diagnostic.severity {
            case .error: say(.error, diagnostic.description)
            case .warning: say(.warning, diagnostic.description)
            case .note: log.debug("\(diagnostic)")
            }
        }
        for failure in configuration.bindFailures { say(.error, failure) }
        for object in configuration.kept { say(.warning, "\(object): the last good version stays in effect") }
    }
}
