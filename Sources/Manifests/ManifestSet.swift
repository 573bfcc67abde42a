/// The result of one load: the valid objects, and all problems.
package struct ManifestSet: Sendable {
    /// The valid objects.
    package var inventory = Inventory()
    /// All problems, in the order of the files, then of the lines.
    package var diagnostics: [Diagnostic] = []
    /// The names of the files that were read, in order; `-` is standard input.
    package var sources: [String] = []
    /// Objects that were left out because of an error. A reload keeps their last good version.
    package var rejected: Set<ObjectReference> = []
    /// Objects of `inventory` that lack a part, such as a server, or have a broken rule. A reload may prefer their last
    /// good version.
    package var impaired: Set<ObjectReference> = []
    /// Files with a syntax error, and files that could not be read. What they define is not known, so a reload keeps
    /// what it had from them.
    package var brokenFiles: Set<String> = []
    /// Whether a path was missing or could not be read.
    package var couldNotRead = false

    package init() {}

    /// Whether nothing was left out.
    package var isWhole: Bool { rejected.isEmpty && impaired.isEmpty && brokenFiles.isEmpty }

    package var hasErrors: Bool { diagnostics.contains { $0.severity == .error } }
}
