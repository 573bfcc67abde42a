/// One problem of the definitions, with its place and, where possible, a remedy.
package struct Diagnostic: Sendable {
    /// Whether something is not in effect, in effect but perhaps not as meant, or only worth knowing.
    package enum Severity: String, Sendable, Comparable {
        case error, warning, note

        private var order: Int {
            switch self {
            case .error: 0
            case .warning: 1
            case .note: 2
            }
        }
        /// Orders severities; the most severe one comes first.
        package static func < (left: Severity, right: Severity) -> Bool { left.order < right.order }
    }

    /// Another place without which the problem is not understood, such as the object that already has the name.
    package struct Related: Sendable {
        /// Where the reader should look too.
        package let place: SourcePlace
        /// What is there, as a few words.
        package let message: String

        package init(place: SourcePlace, message: String) {
            self.place = place
            self.message = message
        }
    }

    /// A stable name for the kind of problem: `unknown-field`.
    package let code: String
    package let severity: Severity
    /// One sentence, without the place and without a full stop.
    package let message: String
    /// What the author can do about it.
    package var hint: String?
    package let place: SourcePlace
    /// The object that has the problem; nil if it is not known.
    package var object: ObjectReference?
    /// The path of the field in the object, such as `spec.http[0].route[1].weight`.
    package var path: String?
    /// Other places that belong to it.
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
