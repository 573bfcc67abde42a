/// One problem of the definitions, told in a way that leads to the place and the remedy.
package struct Diagnostic: Sendable {
    package enum Severity: String, Sendable, Comparable {
        case error, warning, note

        private var rank: Int {
            switch self {
            case .error: 0
            case .warning: 1
            case .note: 2
            }
        }
        /// Graver first.
        package static func < (left: Severity, right: Severity) -> Bool { left.rank < right.rank }
    }

    /// A second place that belongs to the problem.
    package struct Related: Sendable {
        package let place: SourcePlace
        package let message: String

        package init(place: SourcePlace, message: String) {
            self.place = place
            self.message = message
        }
    }

    /// Stable, in words: `unknown-field`.
    package let code: String
    package let severity: Severity
    /// One sentence without the place and without a full stop.
    package let message: String
    /// What to do about it.
    package var hint: String?
    package let place: SourcePlace
    package var object: ObjectReference?
    /// The field in the object, such as `spec.http[0].route[1].weight`.
    package var path: String?
    package var related: [Related]

    package init(
        _ severity: Severity, _ code: String, _ message: String, hint: String? = nil,
        at place: SourcePlace, object: ObjectReference? = nil, path: String? = nil,
        related: [Related] = []
    ) {
        self.code = code
        self.severity = severity
        self.message = message
        self.hint = hint
        self.place = place
        self.object = object
        self.path = path
        self.related = related
    }
}
