internal import Manifests

/// What a source of objects delivers: the newest versions of all of its objects, or of some.
struct ObjectDelivery {
    /// What a delivery says of objects that it does not name.
    enum Scope {
        /// They are gone, except those from a place that cannot be read now: nothing is known of these.
        case all(isUnread: (SourcePlace) -> Bool)
        /// They are as they were, except these, which are gone.
        case some(gone: [ObjectReference])
    }

    /// Valid objects, and in `leftOut` what is known of objects with an error.
    var objects = Inventory()
    /// Those of `objects` that lack a part.
    var impaired: Set<ObjectReference> = []
    /// Objects that exist and whose newest version has an error.
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

    /// Whether the file itself or a folder above it could not be read. It looks up the parts of the file's own path,
    /// because there may be thousands of broken files.
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
    /// Objects that say something else than before, wherever they are.
    var changed: [ObjectReference] = []
    /// Objects that say the same, and that have parts on other lines or in another file than before.
    var moved: [ObjectReference] = []
    var removed: [ObjectReference] = []

    /// Notes how two versions of an object differ.
    mutating func note<Object: StoredObject>(_ old: Object, _ new: Object) {
        if old.version != new.version {
            changed.append(new.identity)
        } else if old.place != new.place || old.layout != new.layout {
            moved.append(new.identity)
        }
    }

    /// How many of each.
    struct Counts: Sendable, Equatable, CustomStringConvertible {
        var added = 0
        var changed = 0
        var removed = 0
        var description: String { "\(added) objects added, \(changed) changed, \(removed) removed" }
    }

    var counts: Counts { Counts(added: added.count, changed: changed.count, removed: removed.count) }
}
