/// A field that closes, protects or redirects, and that is not in effect yet. The part of the object that has it must
/// not be served as if the field were absent: a rule or a destination answers 503, and a server is not opened.
package struct ClosingField: Sendable {
    package let place: SourcePlace
    /// Its path in its part, with its value if that decides: `fault.abort`, `tls.mode: MUTUAL`.
    package let name: String
    private let fieldPath: FieldPath
    /// The value, if the value decides and not the presence of the field.
    private let decidingValue: String?

    /// As it is written, with its path in the object: `spec.trafficPolicy.tls.mode: SIMPLE`.
    package var written: String { decidingValue.map { "\(path): \($0)" } ?? path }

    init(_ value: Value, in part: String, decidingValue: String?) {
        place = value.place
        fieldPath = value.fieldPath
        self.decidingValue = decidingValue.map(Decoder.clipped)
        let path = value.path
        let short = Decoder.clipped(path.hasPrefix(part + ".") ? String(path.dropFirst(part.count + 1)) : path)
        name = self.decidingValue.map { "\(short): \($0)" } ?? short
    }

    /// Its path in the object, such as `spec.http[0].fault.abort`.
    package var path: String { Decoder.clipped(fieldPath.text) }

    /// The report on it: that it is not in effect yet, and what happens to requests.
    package func diagnostic(
        _ severity: Diagnostic.Severity, _ consequence: String, hint: String? = nil, object: ObjectReference
    ) -> Diagnostic {
        Diagnostic(
            severity, NotInEffect.code, "`\(written)` is not in effect yet: \(consequence)", hint: hint,
            at: place, object: object, path: path)
    }
}
