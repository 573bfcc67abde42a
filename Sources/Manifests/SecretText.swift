internal import CYAMLMemory

/// The text of a file that may have Secrets. Reading it leaves no copy of it behind.
enum SecretText {
    /// Whether a text has one of the words that each Secret has.
    static func isIn(_ text: ArraySlice<UInt8>) -> Bool {
        unsafe text.withUnsafeBytes { unsafe portico_mentions_secrets($0.baseAddress, $0.count) != 0 }
    }

    /// Calls `body`. If the text has Secrets, libyaml wipes all memory that it frees meanwhile.
    static func reading<Result>(_ text: ArraySlice<UInt8>, _ body: () -> Result) -> Result {
        guard isIn(text) else { return body() }
        portico_yaml_wipe(1)
        defer { portico_yaml_wipe(0) }
        return body()
    }
}
