/// Where something stands in the files: what every diagnostic points at. Lines and columns count
/// from 1; columns count characters, as editors do.
package struct SourcePlace: Sendable, Hashable {
    private let source: SourceName
    private let storedLine: Int32
    private let storedColumn: Int32

    package var file: String { source.text }
    package var line: Int { Int(storedLine) }
    package var column: Int { Int(storedColumn) }

    package init(file: String, line: Int, column: Int) {
        self.init(SourceName(file), line: Int32(clamping: line), column: Int32(clamping: column))
    }

    init(_ source: SourceName, line: Int32, column: Int32) {
        self.source = source
        storedLine = line
        storedColumn = column
    }
}

/// A file's name, shared by all places in it: there are more places than anything else.
final class SourceName: Sendable, Hashable {
    let text: String
    init(_ text: String) { self.text = text }
    static func == (left: SourceName, right: SourceName) -> Bool {
        left === right || left.text == right.text
    }
    func hash(into hasher: inout Hasher) { hasher.combine(text) }
}

/// A value and where it was written.
package struct Located<Value: Sendable>: Sendable {
    package var value: Value
    package let place: SourcePlace
    private let fieldPath: FieldPath

    /// The field's path in its object, such as `spec.http[0].route[1].weight`.
    package var path: String { fieldPath.text }

    init(_ value: Value, place: SourcePlace, path: FieldPath) {
        self.value = value
        self.place = place
        fieldPath = path
    }
}

/// The name of one object; what two objects of one inventory never share.
package struct ObjectReference: Sendable, Hashable, CustomStringConvertible {
    package let kind: String
    package let namespace: String
    package let name: String

    package init(kind: String, namespace: String, name: String) {
        self.kind = kind
        self.namespace = namespace
        self.name = name
    }

    package var description: String { "\(kind) \(namespace)/\(name)" }

    /// See `String.detached`.
    package var detached: ObjectReference {
        ObjectReference(kind: kind.detached, namespace: namespace.detached, name: name.detached)
    }
}

extension String {
    /// The same text in memory of its own. What outlives a load must not share memory with the objects
    /// that were read: one text that stays keeps the whole page around it.
    package var detached: String {
        utf8.count <= 15 ? self : String(decoding: Array(utf8), as: UTF8.self)
    }
}

/// What every object has. `namespace` is never empty: objects without one are given the default.
package struct ObjectMeta: Sendable {
    package let identity: ObjectReference
    package var labels: [String: String] = [:]
    package var annotations: [String: String] = [:]
    /// RFC 3339, as written; such texts sort by time when they end in `Z`.
    package var creationTimestamp: String?
    /// Where the object begins.
    package let place: SourcePlace
    /// See `StoredObject.version`.
    package var version: UInt64 = 0

    package var name: String { identity.name }
    package var namespace: String { identity.namespace }

    package init(identity: ObjectReference, place: SourcePlace) {
        self.identity = identity
        self.place = place
    }
}

/// An optional value kept behind one reference: rarely used fields cost a route 8 octets each.
@propertyWrapper
package struct Rare<Value: Sendable>: Sendable {
    private final class Storage: Sendable {
        let value: Value
        init(_ value: Value) { self.value = value }
    }
    private var storage: Storage?

    package var wrappedValue: Value? {
        get { storage?.value }
        set { storage = newValue.map(Storage.init) }
    }

    package init(wrappedValue: Value?) { storage = wrappedValue.map(Storage.init) }
}
