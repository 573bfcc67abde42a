/// What a load knows while it decodes, over all its files.
///
/// Thread: the load's. Freed by: the last `Decoder` of the load.
final class DecodingState {
    let defaultNamespace: String
    /// What all files have given so far.
    var output = ManifestSet()
    /// Kinds that are not read and were noted already.
    var notedKinds: Set<String> = []
    /// Kind and version of the last document whose kind is known in that version.
    var knownKind: (kind: String, apiVersion: String)?
    /// Where each object was first defined.
    var defined: [ObjectReference: SourcePlace] = [:]
    var paths = PathTable()
    var patterns = PatternTable()

    var reportsInFile = 0
    static let maximumReportsInFile = 10_000
    /// Which companion the current file is, by its name; nil if it is none.
    private(set) var companion: CompanionFile?
    private var hasTemplates = false

    init(defaultNamespace: String) { self.defaultNamespace = defaultNamespace }

    /// How many paths and expressions it keeps.
    var shared: Int { paths.count + patterns.count }

    /// Begins a file; `companion` is what it is by its name.
    func beginFile(_ companion: CompanionFile?) {
        reportsInFile = 0
        hasTemplates = false
        self.companion = companion
    }

    /// Whether template text is found for the first time in this file. It is reported once.
    func isFirstTemplate() -> Bool {
        defer { hasTemplates = true }
        return !hasTemplates
    }
}

/// Reads the objects of one document. It has what every value needs while it is decoded: the tree, the place for
/// problems, and the object that they belong to.
///
/// An error inside `contained` concerns only that part, which its reader then leaves out or marks. Because of any other
/// error, the object is left out.
///
/// Thread: the load's. Freed by: the reader of its document.
final class Decoder {
    let file: SourceName
    // A `let`, so that reading it neither retains its arrays nor checks for exclusive access, which took a quarter of
    // the time of a load.
    let tree: Tree
    let state: DecodingState
    let origin: Origin

    /// Where objects come from.
    enum Origin {
        /// A file, which a person has written: a field that is not known is an error.
        case file
        /// An API server, which may be newer: a field that is not known is a note.
        case cluster
    }

    /// The object that is being read, and the node at which it begins.
    private(set) var object: ObjectReference?
    private(set) var top = Node.none
    /// Errors because of which the object is left out.
    private var errors = 0
    /// How many errors the object has so far: a part that adds some is not used.
    var errorCount: Int { errors }
    /// The place of the first of them.
    private(set) var firstError: SourcePlace?
    /// Whether an error was contained, so that the object lacks a part.
    private var lacksPart = false
    /// Whether the object was defined before. It is then checked and not used.
    var isRepeated = false
    /// The parent of the last path that was asked for. Siblings ask one after the other.
    private var lastParent = (node: Node.none, number: PathTable.top)
    /// What was reported on this object, because checks may read a faulty value twice.
    private var reported: Set<String> = []
    private var reports = 0
    /// The closing fields, by the node of the part that they close; see `NotInEffect`.
    var closings: [NodeIndex: [ClosingField]] = [:]
    /// The fields of the object without which its requests would be sent in clear text; see `LeftOut`.
    var protections: [ClosingField] = []
    /// Whether the object is a Secret, or was probably meant to be one.
    private(set) var isSecret = false
    /// The largest number of reports on one object.
    static let maximumReports = 200

    init(file: SourceName, tree: Tree, state: DecodingState, origin: Origin = .file) {
        self.origin = origin
        self.file = file
        self.tree = tree
        self.state = state
    }

    /// Where a node is written.
    func place(_ node: NodeIndex) -> SourcePlace {
        let node = tree[node]
        return SourcePlace(file, line: node.line, column: node.column)
    }

    /// The path of a node in the object that is being read. All nodes with the same path share it.
    func fieldPath(_ node: NodeIndex) -> FieldPath {
        let number = number(of: node)
        return state.paths[number]
    }

    private func number(of node: NodeIndex) -> PathTable.Number {
        guard node != top, node != Node.none else { return PathTable.top }
        let found = tree[node]
        if found.parent != lastParent.node {
            // Bounded: a tree is at most `TreeBuilder.maximumDepth` deep.
            let parent = number(of: found.parent)
            lastParent = (found.parent, parent)
        }
        let parent = lastParent.number
        guard found.parent != Node.none, tree[found.parent].kind == .mapping else {
            return state.paths.element(of: parent, found.ordinal)
        }
        let key = found.key == Node.none ? node : found.key
        let name = tree[key].isScalar ? tree.string(key) : ""
        return state.paths.child(of: parent, name) { tree.part(to: node) }
    }

    /// The path of a node in the object that is being read, as text.
    func path(_ node: NodeIndex) -> String { tree.path(to: node, from: top) }

    /// Begins an object, to which all reports belong until `end`.
    func begin(_ object: ObjectReference?, at top: NodeIndex) {
        self.object = object
        self.top = top
        lastParent = (Node.none, PathTable.top)
        errors = 0
        firstError = nil
        lacksPart = false
        isRepeated = false
        if !reported.isEmpty { reported.removeAll() }
        if !closings.isEmpty { closings.removeAll() }
        if !protections.isEmpty { protections.removeAll() }
        reports = 0
        isSecret =
            object?.kind == "Secret" || tree.value(of: "stringData", in: top) != nil
            || tree.value(of: "kind", in: top).map { isNameOfSecrets($0) } ?? false
        state.patterns.beginObject()
    }

    /// Treats all texts of the document as those of a Secret, which no report may quote.
    func hideTexts() { isSecret = true }

    /// The compiled expression, shared with equal ones of the load.
    func pattern(_ source: String) -> PatternTable.Answer { state.patterns.find(source) }

    enum Outcome { case whole, lacksPart, rejected, repeated }

    /// Ends the object. Returns whether it is whole, lacks a part, is left out, or was defined before.
    func end() -> Outcome {
        defer {
            object = nil
            errors = 0
        }
        if isRepeated { return .repeated }
        if errors > 0 { return .rejected }
        return lacksPart ? .lacksPart : .whole
    }

    /// Runs `body`, whose errors concern only the part that it reads. Returns true if there were none.
    /// - Parameter consequence: what an error in it leads to, as the end of the error's sentence.
    func contained(_ consequence: String, _ body: () -> Void) -> Bool {
        let before = errors
        saying(consequence, body)
        let isGood = errors == before
        errors = before
        if errors == 0 { firstError = nil }
        if !isGood { lacksPart = true }
        return isGood
    }

    /// What an error leads to at the moment; empty if the object is left out.
    private var consequence = ""

    /// Runs `body`, whose errors end with this consequence instead of that of the part around it.
    func saying(_ consequence: String, _ body: () -> Void) {
        let before = self.consequence
        self.consequence = consequence
        body()
        self.consequence = before
    }

    /// The result of `read`, or `other` if there is an error in what it reads.
    func sound<Content>(otherwise other: Content, _ read: () -> Content) -> Content {
        let before = errors
        let content = read()
        return errors == before ? content : other
    }

    // MARK: Reports
    //
    // Sentences are made only for reports that are listed, because a file may have a million problems.

    /// Reports what makes the object unfit for use, with its consequence.
    /// - Parameters:
    ///   - node: where the fault is.
    ///   - path: of the field at fault; nil: that of `node`.
    func error(
        _ code: String, _ message: @autoclosure () -> String, hint: @autoclosure () -> String? = nil,
        at node: NodeIndex, path: String? = nil, related: [Diagnostic.Related] = []
    ) {
        errors += 1
        firstError = firstError ?? place(node)
        report(.error, code, message, hint: hint, at: node, path: path, related: related, consequence)
    }

    /// Reports an error after which the object is used, because the faulty part would have no effect here.
    func harmlessError(
        _ code: String, _ message: @autoclosure () -> String, hint: @autoclosure () -> String? = nil,
        at node: NodeIndex
    ) {
        report(.error, code, message, hint: hint, at: node, path: nil)
    }

    /// Reports what is likely a mistake of the author; the object is used all the same.
    func warning(
        _ code: String, _ message: @autoclosure () -> String, hint: @autoclosure () -> String? = nil,
        at node: NodeIndex
    ) {
        report(.warning, code, message, hint: hint, at: node, path: nil)
    }

    /// Reports what is no mistake and yet good to know, such as a field without effect here.
    func note(
        _ code: String, _ message: @autoclosure () -> String, hint: @autoclosure () -> String? = nil,
        at node: NodeIndex
    ) {
        report(.note, code, message, hint: hint, at: node, path: nil)
    }

    private func report(
        _ severity: Diagnostic.Severity, _ code: String, _ message: () -> String, hint: () -> String?,
        at node: NodeIndex, path: String?, related: [Diagnostic.Related] = [], _ consequence: String = ""
    ) {
        if severity == .error, code != "invalid-regex", let mark = templateMark(node) {
            return reportTemplate(mark, at: node)
        }
        guard isListed(node) else { return }
        let found = path ?? self.path(node)
        let message = message()
        guard reported.insert("\(node) \(found) \(message)").inserted else { return }
        let diagnostic = Diagnostic(
            severity, code, Self.clipped(message) + consequence, hint: hint().map(Self.clipped),
            at: place(node), object: object, path: found.isEmpty ? nil : Self.clipped(found),
            related: related)
        state.output.diagnostics.append(withoutSecrets(diagnostic, node))
    }

    /// Counts a report. Returns whether it is to be listed.
    private func isListed(_ node: NodeIndex) -> Bool {
        reports += 1
        state.reportsInFile += 1
        if state.reportsInFile > DecodingState.maximumReportsInFile {
            countUnlisted(state.reportsInFile == DecodingState.maximumReportsInFile + 1, "file", at: node)
            return false
        }
        if reports > Self.maximumReports {
            countUnlisted(reports == Self.maximumReports + 1, "object", at: top)
            return false
        }
        return true
    }

    /// The beginning of a text for a report, because texts of a file may be megabytes long.
    static func clipped(_ text: String) -> String {
        guard text.utf8.count > longestText else { return text }
        return String(text.unicodeScalars.prefix(mostScalars)) + "…"
    }

    /// The longest text that a report has as a whole, in octets, and how many characters it has of a longer one. One
    /// that a reader takes for a single character may have any number of these.
    private static let longestText = 600, mostScalars = 500

    /// Reports once that further reports are not listed.
    private func countUnlisted(_ isFirst: Bool, _ whole: String, at node: NodeIndex) {
        guard isFirst else { return }
        state.output.diagnostics.append(
            Diagnostic(
                .warning, "too-many-problems",
                "too many problems; the others of this \(whole) are not listed", at: place(node),
                object: object))
    }

    /// Reports the problems that the tree's builder found inside the current object.
    func reportTreeProblems() {
        for problem in tree.problems(in: top) {
            let node = problem.node
            switch problem.kind {
            case .unknownTag(let tag):
                error(
                    "unknown-tag", "the tag `\(isConfidential(node) ? "…" : tag)` has no meaning here",
                    hint: "remove it, or quote the text", at: node)
            case .duplicateKey(let first):
                error(
                    "duplicate-key", "`\(tree.string(node))` is written twice", hint: "keep one of the two",
                    at: node, related: [.init(place: place(first), message: "first written here")])
            case .badKey:
                error(
                    "bad-key", "a key must be a text", hint: "quote it if it begins with [ or {", at: node)
            case .mergeKey:
                error(
                    "merge-key", "merge keys (`<<`) are not supported", hint: "write the fields out", at: node)
            }
        }
    }
}
