internal import Patterns

/// The regular expressions of one load. Equal texts are compiled once, so an alias, or a rule that was copied for every
/// host, costs nothing more. Their number is limited, because each takes time to compile and memory while it is used.
struct PatternTable {
    /// Whether a text can be used as a pattern.
    enum Answer {
        case usable(Pattern)
        case malformed(reason: String)
        case tooLarge
        case tooMany(limit: Int, whole: String)
    }

    /// The largest number of different texts in one object, and in one load. Those that cannot be used count, too.
    static let mostOfObject = 500
    /// The same for one load.
    static let mostOfLoad = 10_000

    private var known: [String: Answer] = [:]
    private var ofObject: Set<String> = []

    var count: Int { known.count }

    /// Begins the count for the next object.
    mutating func beginObject() {
        if !ofObject.isEmpty { ofObject = [] }
    }

    /// The compiled expression, or why there is none.
    mutating func find(_ source: String) -> Answer {
        if !ofObject.contains(source) {
            guard ofObject.count < Self.mostOfObject else {
                return .tooMany(limit: Self.mostOfObject, whole: "object")
            }
            ofObject.insert(source)
        }
        if let answer = known[source] { return answer }
        guard known.count < Self.mostOfLoad else { return .tooMany(limit: Self.mostOfLoad, whole: "load") }
        let answer = Self.compile(source)
        known[source] = answer
        return answer
    }

    private static func compile(_ source: String) -> Answer {
        do throws(Pattern.Malformed) {
            return .usable(try Pattern(source))
        } catch {
            return switch error {
            case .syntax(let reason): .malformed(reason: reason)
            case .tooLarge: .tooLarge
            }
        }
    }
}
