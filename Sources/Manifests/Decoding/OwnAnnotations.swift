extension Value {
    /// The prefix of the names of Portico's own annotations.
    private static let ownPrefix = "portico.dev/"

    /// The annotations of Portico's own, with the places of their values; nil if there are none.
    /// - Parameter annotations: all of this mapping.
    func ownAnnotations(among annotations: [String: String]) -> [String: Located<String>]? {
        guard annotations.keys.contains(where: { $0.hasPrefix(Self.ownPrefix) }) else { return nil }
        var found: [String: Located<String>] = [:]
        for (key, value) in entries() where key.raw.hasPrefix(Self.ownPrefix) {
            guard let text = annotations[key.raw] else { continue }
            found[key.raw] = Located(text, place: value.place, path: value.fieldPath)
        }
        return found
    }
}
