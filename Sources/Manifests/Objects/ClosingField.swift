/// A field that somebody wrote to close, protect or redirect, and that is not in effect yet: the part of
/// the object that has it must not be served as if it were not there. A rule or a destination answers
/// 503, a server is not opened.
package struct ClosingField: Sendable {
    package let place: SourcePlace
    /// In its part, with its value where that decides: `fault.abort`, `tls.mode: MUTUAL`.
    package let name: String
    private let fieldPath: FieldPath
    /// What is decided by its value, not by being there.
    private let decidingValue: String?

    init(_ value: Value, in part: String, decidingValue: String?) {
        place = value.place
        fieldPath = value.fieldPath
        self.decidingValue = decidingValue.map(Decoder.clipped)
        let path = value.path
        let short = Decoder.clipped(path.hasPrefix(part + ".") ? String(path.dropFirst(part.count + 1)) : path)
        name = self.decidingValue.map { "\(short): \($0)" } ?? short
    }

    /// The field in its object, such as `spec.http[0].fault.abort`.
    package var path: String { Decoder.clipped(fieldPath.text) }

    /// The report: `…` is not in effect yet, and what becomes of the requests.
    package func diagnostic(
        _ severity: Diagnostic.Severity, _ consequence: String, hint: String? = nil, object: ObjectReference
    ) -> Diagnostic {
        let written = decidingValue.map { "\(path): \($0)" } ?? path
        return Diagnostic(
            severity, NotInEffect.code, "`\(written)` is not in effect yet: \(consequence)", hint: hint,
            at: place, object: object, path: path)
    }
}
