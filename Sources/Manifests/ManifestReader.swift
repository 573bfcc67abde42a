/// Reads definitions. Never fails as a whole: every problem is a diagnostic of the result.
package enum ManifestReader {
    /// Reads files, folders (recursively, in sorted order) and `-` for standard input.
    package static func load(paths: [String], defaultNamespace: String = "default") -> ManifestSet {
        ManifestSet()
    }

    /// Reads texts that are in memory already, in the order given.
    package static func load(
        sources: [(name: String, octets: [UInt8])], defaultNamespace: String = "default"
    ) -> ManifestSet {
        ManifestSet()
    }
}
