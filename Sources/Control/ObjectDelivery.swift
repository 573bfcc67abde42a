internal import Manifests

/// What a source of objects hands over: the newest versions of all of its objects, or of some.
struct ObjectDelivery {
    /// What it says of objects that it does not name.
    enum Scope {
        /// They are gone, but for those that came from a place that cannot be read now: of these nothing is known.
        case all(isUnread: (SourcePlace) -> Bool)
        /// They are as they were; these are gone.
        case some(gone: [ObjectReference])
    }

    /// Good objects, and in `leftOut` what is known of those that an error took out.
    var objects = Inventory()
    /// Objects of these that lack a part.
    var impaired: Set<ObjectReference> = []
    /// Objects that are there and whose newest version an error took out.
    var rejected: Set<ObjectReference> = []
    var scope: Scope
}

extension ManifestSet {
    /// All objects of the files.
    var delivery: ObjectDelivery {
        let broken = brokenFiles
        return ObjectDelivery(
            objects: inventory, impaired: impaired, rejected: rejected,
            scope: .all { Self.isBroken($0.file, broken) })
    }

    /// The file itself, or a folder above it, could not be read. By the file's own path, since there may be
    /// thousands of broken files.
    private static func isBroken(_ file: String, _ broken: Set<String>) -> Bool {
        guard !broken.isEmpty else { return false }
        if broken.contains(file) { return true }
        return file.indices.contains { index in
            file[index] == "/" && (broken.contains(String(file[..<index])) || broken.contains(String(file[...index])))
        }
    }
}

/// What a delivery changed of the objects in effect.
struct ObjectChanges: Sendable, Equatable {
    var added: [ObjectReference] = []
    /// Those that say something else than before, wherever they stand.
    var changed: [ObjectReference] = []
    var removed: [ObjectReference] = []

    /// How many of each.
    struct Counts: Sendable, Equatable, CustomStringConvertible {
        var added = 0
        var changed = 0
        var removed = 0
        var description: String { "\(added) objects added, \(changed) changed, \(removed) removed" }
    }

    var counts: Counts { Counts(added: added.count, changed: changed.count, removed: removed.count) }
}
