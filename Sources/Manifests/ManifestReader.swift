/// Reads definitions. Never fails as a whole: every problem is a diagnostic of the result.
package enum ManifestReader {
    /// Reads files, folders (recursively, in sorted order) and `-` for standard input.
    package static func load(paths: [String], defaultNamespace: String = "default") -> ManifestSet {
        let loading = Loading(defaultNamespace: defaultNamespace)
        var finder = FileFinder { found in
            switch found {
            case .file(let source, let octets): loading.read(source, octets[...])
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
        sources: [(name: String, octets: [UInt8])], defaultNamespace: String = "default"
    ) -> ManifestSet {
        load(sources: sources.map { ($0.name, $0.octets[...]) }, defaultNamespace: defaultNamespace)
    }

    /// The same for parts of something larger.
    package static func load(
        sources: [(name: String, octets: ArraySlice<UInt8>)], defaultNamespace: String = "default"
    ) -> ManifestSet {
        let loading = Loading(defaultNamespace: defaultNamespace)
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
    private var texts = SourceTexts()

    init(defaultNamespace: String) { findings = Findings(defaultNamespace: defaultNamespace) }

    func read(_ source: SourceName, _ octets: ArraySlice<UInt8>) {
        let name = source.text
        findings.output.sources.append(name)
        texts.add(source, octets)
        findings.reportsInFile = 0
        let first = findings.output.diagnostics.count
        var rest = Rest(octets: octets, linesBefore: 0)
        for _ in 0...Self.maximumRestarts {
            guard let error = readDocuments(source, rest) else { break }
            // Documents before the fault have been read. Those after it can be read too, from the
            // next line `---`: a fault in one object should not take out its neighbours.
            findings.output.brokenFiles.insert(name)
            findings.output.diagnostics.append(
                Diagnostic(
                    .error, error.code, error.message, hint: error.hint,
                    at: SourcePlace(file: name, line: error.line, column: error.column)))
            guard let next = rest.afterFault(in: error.line) else { break }
            rest = next
        }
        sort(from: first)
    }

    /// Of one file: each reads the rest of it anew.
    private static let maximumRestarts = 16

    private func readDocuments(_ name: SourceName, _ rest: Rest) -> SyntaxError? {
        var builder = TreeBuilder(rest.octets, linesBefore: rest.linesBefore)
        do throws(SyntaxError) {
            while let tree = try builder.next() {
                let decoder = Decoder(file: name, tree: tree, findings: findings)
                ObjectReader(decoder: decoder).readDocument()
            }
        } catch {
            return error
        }
        return nil
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

    func finish() -> ManifestSet {
        findings.output.texts = texts.finish()
        return findings.output
    }

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

/// What is still to be read of a file.
private struct Rest {
    let octets: ArraySlice<UInt8>
    let linesBefore: Int

    /// From the first line `---` that is not above the faulty line, and below the first line.
    func afterFault(in faulty: Int) -> Rest? {
        var line = linesBefore + 1
        var start = octets.startIndex
        while let end = octets[start...].firstIndex(of: UInt8(ascii: "\n")) {
            start = end + 1
            line += 1
            guard line >= faulty, octets[start...].starts(with: "---".utf8) else { continue }
            let after = start + 3
            guard after >= octets.endIndex || octets[after] <= UInt8(ascii: " ") else { continue }
            return Rest(octets: octets[start...], linesBefore: line - 1)
        }
        return nil
    }
}
