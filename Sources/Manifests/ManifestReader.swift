/// Reads definitions. Never fails as a whole: every problem is a diagnostic of the result.
package enum ManifestReader {
    /// Reads files, folders (recursively, in sorted order) and `-` for standard input.
    package static func load(paths: [String], defaultNamespace: String = "default") -> ManifestSet {
        let loading = Loading(defaultNamespace: defaultNamespace)
        var finder = FileFinder { found in
            switch found {
            case .file(let name, let octets): loading.read(name, octets)
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
        let loading = Loading(defaultNamespace: defaultNamespace)
        for (name, octets) in sources {
            if octets.count > FileFinder.maximumOctets {
                loading.couldNotRead(name, "larger than 64 MiB", "split the file")
            } else {
                loading.read(name, octets)
            }
        }
        return loading.finish()
    }
}

/// One load, file by file. Used by one thread.
private final class Loading {
    private let findings: Findings

    init(defaultNamespace: String) { findings = Findings(defaultNamespace: defaultNamespace) }

    func read(_ name: String, _ octets: [UInt8]) {
        findings.output.sources.append(name)
        let first = findings.output.diagnostics.count
        var builder = TreeBuilder(octets)
        do {
            while let tree = try builder.next() {
                let decoder = Decoder(file: name, tree: tree, findings: findings)
                ObjectReader(decoder: decoder).readDocument()
            }
        } catch {
            // Documents before the fault have been read; what follows it is unknown.
            findings.output.brokenFiles.insert(name)
            findings.output.diagnostics.append(
                Diagnostic(
                    .error, error.code, error.message, hint: error.hint,
                    at: SourcePlace(file: name, line: error.line, column: error.column)))
        }
        sort(from: first)
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
