/// The result of one load: what is good, and everything that was found wrong.
package struct ManifestSet: Sendable {
    package var inventory = Inventory()
    /// In the order of the files, then of the lines.
    package var diagnostics: [Diagnostic] = []
    /// The names of the files that were read, in order; `-` is standard input.
    package var sources: [String] = []
    /// Objects that an error took out; a reload keeps their last good version.
    package var rejected: Set<ObjectReference> = []
    /// Objects of `inventory` that lack a part, such as one server, or have a broken rule; a
    /// reload may prefer their last good version.
    package var impaired: Set<ObjectReference> = []
    /// Files with a syntax error: what they defined is unknown, so a reload keeps what it had
    /// from them. Also files that could not be read.
    package var brokenFiles: Set<String> = []
    /// A path was missing or unreadable.
    package var couldNotRead = false

    package init() {}

    /// Nothing is missing, as far as a reader can see.
    package var isWhole: Bool { rejected.isEmpty && impaired.isEmpty && brokenFiles.isEmpty }

    package var hasErrors: Bool { diagnostics.contains { $0.severity == .error } }
}
