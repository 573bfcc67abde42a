internal import Octets

/// Reads definitions. It never fails as a whole: every problem is a diagnostic of the result.
package enum ManifestReader {
    /// The largest number of JSON objects without `---` between them. Each needs a new YAML parser.
    package static let maximumJSONObjects = 100_000

    /// Reads files, folders (recursively, in sorted order) and `-` for standard input.
    /// - Parameter limit: ends the load early.
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

    /// Reads texts that are already in memory, in their order.
    package static func load(
        sources: [(name: String, octets: [UInt8])], defaultNamespace: String = "default",
        limit: LoadLimit = LoadLimit()
    ) -> ManifestSet {
        load(
            sources: sources.map { ($0.name, $0.octets[...]) }, defaultNamespace: defaultNamespace,
            limit: limit)
    }

    /// The same for parts of larger texts.
    /// - Parameter jsonObjects: how many a file may have without `---` between them; tests have fewer.
    package static func load(
        sources: [(name: String, octets: ArraySlice<UInt8>)], defaultNamespace: String = "default",
        limit: LoadLimit = LoadLimit(), jsonObjects: Int = maximumJSONObjects
    ) -> ManifestSet {
        let loading = Loading(defaultNamespace: defaultNamespace, limit: limit, jsonObjects: jsonObjects)
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

/// One load, file by file.
///
/// Thread: the load's. Freed by: the end of the load.
private final class Loading {
    private let state: DecodingState
    private let limit: LoadLimit
    private let jsonObjects: Int    // of one file, at most

    init(defaultNamespace: String, limit: LoadLimit, jsonObjects: Int = ManifestReader.maximumJSONObjects) {
        state = DecodingState(defaultNamespace: defaultNamespace)
        self.limit = limit
        self.jsonObjects = jsonObjects
    }

    /// Reads one file.
    /// - Parameter companion: what the file is by its name, if it was found in a folder.
    func read(_ source: SourceName, _ octets: ArraySlice<UInt8>, companion: CompanionFile? = nil) {
        state.output.sources.append(source.text)
        state.beginFile(companion)
        let first = state.output.diagnostics.count
        var utf8 = UTF16Text.inUTF8(octets)
        read(source, text: utf8 ?? octets)
        utf8?.wipe()
        sort(from: first)
    }

    private func read(_ source: SourceName, text: ArraySlice<UInt8>) {
        if let excess = Directives.firstExcess(in: text) {
            refuseDirectives(source, line: text[..<excess].count { $0 == UInt8(ascii: "\n") } + 1)
        } else {
            // Variables, because only the owner of an array's memory can wipe it.
            var colons = FlowColons.standingIn(text)
            var pairs = SurrogatePairs.standingIn(colons ?? text)
            let start = TextStart(hasStandIns: colons != nil || pairs != nil)
            SecretText.reading(text) { read(source, FileRemainder(octets: pairs ?? colons ?? text, start: start)) }
            colons?.wipe()
            pairs?.wipe()
        }
    }

    private func read(_ source: SourceName, _ whole: FileRemainder) {
        var rest = whole
        var syntaxErrors = 0
        var objects = 1
        while let error = readDocuments(source, rest) {
            if let next = rest.nextOfJSON(after: error), objects < jsonObjects {
                objects += 1
                rest = next
                continue
            }
            // Documents before the error have been read. Those after it can be read, too, from the next line `---`, so
            // that an error in one object does not concern its neighbours.
            let place = SourcePlace(file: source.text, line: error.line, column: error.column)
            noteLost(rest.document(around: error.line), at: place)
            guard report(error.explained(by: rest), source), syntaxErrors < Self.maximumRestarts,
                let next = rest.afterSyntaxError(in: error.line)
            else { return }
            syntaxErrors += 1
            rest = next
        }
    }

    /// The largest number of restarts in one file. Each reads the rest of it again.
    private static let maximumRestarts = 16

    /// Notes the object that a document without valid syntax was meant to be.
    /// - Parameter place: the place of the error.
    private func noteLost(_ document: ArraySlice<UInt8>, at place: SourcePlace) {
        let lost = LostDocument(document).identity(defaultNamespace: state.defaultNamespace)
        guard let lost, state.defined[lost] == nil else { return }
        state.output.rejected.insert(lost)
        state.output.inventory.leftOut.append(LeftOut(identity: lost, place: place))
    }

    /// Reports a syntax error. Returns false if the rest of the file is not worth reading.
    private func report(_ error: SyntaxError, _ source: SourceName) -> Bool {
        state.output.brokenFiles.insert(source.text)
        let isTemplate = error.code == TemplateText.code
        if isTemplate, !state.isFirstTemplate() { return false }
        state.output.diagnostics.append(
            Diagnostic(
                .error, error.code, error.message, hint: error.hint,
                at: SourcePlace(file: source.text, line: error.line, column: error.column)))
        return !isTemplate
    }

    private func refuseDirectives(_ source: SourceName, line: Int) {
        state.output.brokenFiles.insert(source.text)
        state.output.diagnostics.append(
            Diagnostic(
                .error, "too-many-directives",
                "a document has at most \(Directives.maximum) lines that begin with %, of at most "
                    + "\(Directives.maximumOctets) octets: the file is not read",
                hint: "remove the lines: objects need no directives",
                at: SourcePlace(file: source.text, line: line, column: 1)))
    }

    private func readDocuments(_ name: SourceName, _ rest: FileRemainder) -> SyntaxError? {
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

    /// Decodes a document. It is a function of its own, so that nothing holds the tree when it returns.
    private func read(_ tree: Tree, _ name: SourceName) {
        let decoder = Decoder(file: name, tree: tree, state: state)
        ObjectReader(decoder: decoder).readDocument()
    }

    /// Reports a file or folder that could not be read.
    func couldNotRead(_ name: String, _ message: String, _ hint: String?) {
        state.output.couldNotRead = true
        state.output.brokenFiles.insert(name)
        state.output.diagnostics.append(
            Diagnostic(
                .error, "could-not-read", message, hint: hint,
                at: SourcePlace(file: name, line: 1, column: 1)))
    }

    /// Reports a folder without definitions.
    func foundNothing(in folder: String) {
        state.output.diagnostics.append(
            Diagnostic(
                .warning, "empty-folder", "no definitions in this folder",
                hint: "files end in .yaml, .yml or .json",
                at: SourcePlace(file: folder, line: 1, column: 1)))
    }

    /// Ends the load and returns its result.
    func finish() -> ManifestSet { state.output }

    /// Sorts the diagnostics of one file by place. Those of one place keep their order.
    private func sort(from first: Int) {
        guard state.output.diagnostics.count - first > 1 else { return }
        let sorted = state.output.diagnostics[first...].enumerated().sorted { left, right in
            let (a, b) = (left.element.place, right.element.place)
            return (a.line, a.column, left.offset) < (b.line, b.column, right.offset)
        }
        state.output.diagnostics.replaceSubrange(first..., with: sorted.map(\.element))
    }
}
