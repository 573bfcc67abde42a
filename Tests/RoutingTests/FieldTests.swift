import Manifests
import Routing
import Support
import Testing

/// Each documented field is used by the compiler, or reported; see Tests/Fixtures/fields/README.md.
@Suite struct `A documented field` {
    /// What a configuration comes to.
    private struct Outcome {
        let effect: String
        let reports: [Diagnostic]

        init(_ text: String) {
            let set = ManifestReader.load(sources: [("case.yaml", Array(text.utf8))])
            var options = CompileOptions()
            options.gatewayNamespace = "gwns"
            options.locality = Locality("r/z/s")
            let compiled = Compiled(set.inventory, options)
            effect =
                compiled.tree + compiled.json.replacing(/"(line|column)": ?[0-9]+/, with: "")
                + described(compiled.plan.listeners) + described(compiled.plan.clusters)
            reports = set.diagnostics + compiled.plan.diagnostics
        }

        var errors: [String] { reports.filter { $0.severity == .error }.map(\.description) }

        /// Whether a report has the field, or what it is part of, as its path or in its words.
        func names(_ field: FieldList.Field) -> Bool {
            let steps = field.path.dropFirst(field.prefix.isEmpty ? 0 : field.prefix.count + 1).split(separator: ".")
            let lists = steps.map { String($0).replacing("[]", with: "") }
            return reports.contains { report in
                guard report.object?.kind == field.kind else { return false }
                let path = (report.path ?? "").replacing(/\[[0-9]+\]/, with: "")
                let words = path.split(separator: ".").map(String.init)
                return words.last.map { lists.contains($0) } ?? false
                    || lists.contains { report.message.contains("`\($0)") || report.message.contains(".\($0)") }
            }
        }
    }

    /// What becomes of a field that this gateway knows.
    enum Mark: String {
        case used = "●"
        case skipped = "○"
        case closes = "⊘"
        case noted = "–"
        case refused = "an error"

        init(_ consequence: NotInEffect.Consequence) {
            self =
                switch consequence {
                case .skipped: .skipped
                case .closes: .closes
                case .noConcern: .noted
                }
        }
    }

    /// The line of `NotInEffect` that the field is listed in whatever its value, itself or as part of another.
    static func listed(_ field: FieldList.Field) -> NotInEffect.Consequence? {
        (NotInEffect.fields + NotInEffect.noConcern).first {
            $0.kind == field.kind && !$0.isForSomeValues && "\(field.path).".hasPrefix($0.path + ".")
        }?.consequence
    }

    private func mark(_ field: FieldList.Field, _ first: Outcome, _ second: Outcome) -> Mark? {
        let isReported = first.names(field) || second.names(field)
        if let consequence = Self.listed(field) { return isReported ? Mark(consequence) : nil }
        if field.isRefused {
            guard first.errors.isEmpty, !second.errors.isEmpty else { return nil }
            if second.names(field) { return .refused }
            return first.effect != second.effect ? .used : nil
        }
        guard first.errors.isEmpty, second.errors.isEmpty else { return nil }
        if first.effect != second.effect { return .used }
        return isReported ? .noted : nil
    }

    @Test(arguments: FieldList.all.filter { !$0.isProvedElsewhere })
    func `is used, or reported`(field: FieldList.Field) {
        #expect(!field.pairs.isEmpty)
        for pair in field.pairs {
            let (first, second) = (Outcome(pair.first), Outcome(pair.second))
            let told = (first.reports + second.reports).map { "  \($0)\n" }.joined()
            #expect(mark(field, first, second) != nil, "neither used nor reported:\n\(pair.second)\n\(told)")
        }
    }

    /// Fields that are not in effect have the test of the report alone, which may name what they are part of. This
    /// test names all that it has.
    @Test(arguments: FieldList.all) func `has a test that names it`(field: FieldList.Field) {
        let steps = field.path.split(separator: ".").map { String($0).replacing("[]", with: "") }
        let names = Self.listed(field) == nil ? steps.suffix(1) : steps.suffix(3)
        if field.tests == ["Tests/RoutingTests/FieldTests.swift"] { return }
        let texts = field.tests.map { TestFiles.text(TestFiles.tests + "/../" + $0) }
        #expect(!texts.isEmpty && !texts.contains(""), "no such file: \(field.tests)")
        #expect(texts.contains { text in names.contains { text.contains($0) } }, "\(field.tests) do not name it")
    }

    /// How each field is marked in the documents, and where it is named.
    static func mark(_ field: FieldList.Field) -> Mark? {
        if field.isProvedElsewhere { return .used }
        guard let pair = field.pairs.first else { return nil }
        return Self().mark(field, Outcome(pair.first), Outcome(pair.second))
    }
}

/// A value with all that it is made of, but for places in files.
private func described(_ value: Any) -> String {
    if value is SourcePlace { return "" }
    if let labels = value as? [String: String] { return "\(labels.sorted { $0.key < $1.key })" }
    let children = Mirror(reflecting: value).children
    if children.isEmpty { return "\(value)" }
    return "(" + children.map { "\($0.label ?? "") \(described($0.value))" }.joined(separator: ",") + ")"
}
