internal import Octets

/// Reads definitions. Never fails as a whole: every problem is a diagnostic of the result.
package enum ManifestReader {
    /// Reads files, folders (recursively, in sorted order) and `-` for standard input.
    /// - Parameter limit: ends it early.
    package static func load(
        paths: [String], defaultNamespace: String = "default", limit: LoadLimit = LoadLimit()
    ) -> ManifestSet {
        let loading = Loading(defaultNamespace: defaultNamespace, limit: limit)
        var finder = FileFinder(limit: limit) { found in
            switch found {
            case .file(let source, let octets, let isNamed):
                loading.read(source, octets[...], companion: isNamed ? nil : CompanionFile(path: source.text))
            case .unreadable(let name, let message, let hint):
                loading.couldNotRead(name, message, hint)
            case .emptyFolder(let name): loading.foundNothing(in: name)
            }
        }
        for path in paths { finder.find(path) }
        return loading.finish()
    }

    /// Reads texts that are in memory already, in the order given.
    package static func load(
        sources: [(name: String, octets: [UInt8])], defaultNamespace: String = "default",
        limit: LoadLimit = LoadLimit()
    ) -> ManifestSet {
        load(
            sources: sources.map { ($0.name, $0.octets[...]) }, defaultNamespace: defaultNamespace,
            limit: limit)
    }

    /// The same for parts of something larger.
    package static func load(
        sources: [(name: String, octets: ArraySlice<UInt8>)], defaultNamespace: String = "default",
        limit: LoadLimit = LoadLimit()
    ) -> ManifestSet {
        let loading = Loading(defaultNamespace: defaultNamespace, limit: limit)
        for (name, octets) in sources {
            if octets.count > FileFinder.maximumOctets {
                loading.couldNotRead(name, "larger than 64 MiB", "split the file")
            } else {
                loading.read(SourceName(name), octets)
            }
        }
        return loading.finish()
    }
}

/// One load, file by file. Used by one thread.
private final class Loading {
    private let findings: Findings
    private let limit: LoadLimit

    init(defaultNamespace: String, limit: LoadLimit) {
        findings = Findings(defaultNamespace: defaultNamespace)
        self.limit = limit
    }

    /// - Parameter companion: what the file is by its name, when it was found in a folder.
    func read(_ source: SourceName, _ octets: ArraySlice<UInt8>, companion: CompanionFile? = nil) {
        findings.output.sources.append(source.text)
        findings.beginFile(companion)
        let first = findings.output.diagnostics.count
        let utf8 = UTF16Text.inUTF8(octets)
        let text = utf8 ?? octets
        if let excess = Directives.firstExcess(in: text) {
            refuseDirectives(source, line: text[..<excess].count { $0 == UInt8(ascii: "\n") } + 1)
        } else {
            let colons = FlowColons.standingIn(text)
            let pairs = SurrogatePairs.standingIn(colons ?? text)
            let start = TextStart(hasStandIns: colons != nil || pairs != nil)
            SecretText.reading(text) { read(source, Rest(octets: pairs ?? colons ?? text, start: start)) }
            for var copy in [colons, pairs].compactMap(\.self) { copy.wipe() }
        }
        if var utf8 { utf8.wipe() }
        sort(from: first)
    }

    private func read(_ source: SourceName, _ whole: Rest) {
        var rest = whole
        var faults = 0
        var objects = 1
        while let error = readDocuments(source, rest) {
            if let next = rest.nextOfJSON(after: error), objects < Self.maximumJSONObjects {
                objects += 1
                rest = next
                continue
            }
            // Documents before the fault have been read. Those after it can be read too, from the
            // next line `---`: a fault in one object should not take out its neighbours.
            let place = SourcePlace(file: source.text, line: error.line, column: error.column)
            noteLost(rest.document(around: error.line), at: place)
            guard report(error.explained(by: rest), source), faults < Self.maximumRestarts,
                let next = rest.afterFault(in: error.line)
            else { return }
            faults += 1
            rest = next
        }
    }

    /// Of one file: each reads the rest of it anew.
    private static let maximumRestarts = 16
    /// One after the other, without `---`: each starts a reader of YAML.
    private static let maximumJSONObjects = 100_000

    /// - Parameter place: of the error that took the document out.
    private func noteLost(_ document: ArraySlice<UInt8>, at place: SourcePlace) {
        let lost = LostDocument(document).identity(defaultNamespace: findings.defaultNamespace)
        guard let lost, findings.defined[lost] == nil else { return }
        findings.output.rejected.insert(lost)
        findings.output.inventory.leftOut.append(LeftOut(identity: lost, place: place))
    }

    /// Returns false when the rest of the file is not worth reading.
    private func report(_ error: SyntaxError, _ source: SourceName) -> Bool {
        findings.output.brokenFiles.insert(source.text)
        let isTemplate = error.code == TemplateText.code
        if isTemplate, !findings.isFirstTemplate() { return false }
        findings.output.diagnostics.append(
            Diagnostic(
                .error, error.code, error.message, hint: error.hint,
                at: SourcePlace(file: source.text, line: error.line, column: error.column)))
        return !isTemplate
    }

    private func refuseDirectives(_ source: SourceName, line: Int) {
        findings.output.brokenFiles.insert(source.text)
        findings.output.diagnostics.append(
            Diagnostic(
                .error, "too-many-directives",
                "a document has at most \(Directives.maximum) lines that begin with %, of at most "
                    + "\(Directives.maximumOctets) octets: the file is not read",
                hint: "remove the lines: objects need no directives",
                at: SourcePlace(file: source.text, line: line, column: 1)))
    }

    private func readDocuments(_ name: SourceName, _ rest: Rest) -> SyntaxError? {
        var builder = TreeBuilder(rest.octets, at: rest.start)
        do throws(SyntaxError) {
            while !limit.isOver, var tree = try builder.next() {
                read(tree, name)
                tree.text.wipe()
            }
        } catch {
            return error
        }
        return nil
    }

    /// A function of its own: nothing of the tree is held when it returns.
    private func read(_ tree: Tree, _ name: SourceName) {
        let decoder = Decoder(file: name, tree: tree, findings: findings)
        ObjectReader(decoder: decoder).readDocument()
    }

    func couldNotRead(_ name: String, _ message: String, _ hint: String?) {
        findings.output.couldNotRead = true
        findings.output.brokenFiles.insert(name)
        findings.output.diagnostics.append(
            Diagnostic(
                .error, "could-not-read", message, hint: hint,
                at: SourcePlace(file: name, line: 1, column: 1)))
    }

    func foundNothing(in folder: String) {
        findings.output.diagnostics.append(
            Diagnostic(
                .warning, "empty-folder", "no definitions in this folder",
                hint: "files end in .yaml, .yml or .json",
                at: SourcePlace(file: folder, line: 1, column: 1)))
    }

    func finish() -> ManifestSet { findings.output }

    /// Sorts the diagnostics of one file by place; those of one place stay as they came.
    private func sort(from first: Int) {
        guard findings.output.diagnostics.count - first > 1 else { return }
        let sorted = findings.output.diagnostics[first...].enumerated().sorted { left, right in
            let (a, b) = (left.element.place, right.element.place)
            return (a.line, a.column, left.offset) < (b.line, b.column, right.offset)
        }
        findings.output.diagnostics.replaceSubrange(first..., with: sorted.map(\.element))
    }
}
