/// A place in the files, to which every diagnostic refers. Lines and columns count from 1; columns count characters, as
/// editors do. For an object of an API server, the file is `kubernetes:namespace/kind/name`, the line is 0, and the
/// column is a number that only this field of the object has.
package struct SourcePlace: Sendable, Hashable {
    private let source: SourceName
    private let storedLine: Int32
    private let storedColumn: Int32

    package var file: String { source.text }
    package var line: Int { Int(storedLine) }
    package var column: Int { Int(storedColumn) }
    /// Whether it is in a file, so that its line and column mean something.
    package var isInFile: Bool { storedLine > 0 }

    package init(file: String, line: Int, column: Int) {
        self.init(SourceName(file), line: Int32(clamping: line), column: Int32(clamping: column))
    }

    init(_ source: SourceName, line: Int32, column: Int32) {
        self.source = source
        storedLine = line
        storedColumn = column
    }
}

/// The name of a file. All places in the file share it, because there are more places than anything else.
///
/// Thread: any. Freed by: the last place in the file.
final class SourceName: Sendable, Hashable {
    let text: String
    init(_ text: String) { self.text = text }
    static func == (left: SourceName, right: SourceName) -> Bool {
        left === right || left.text == right.text
    }
    func hash(into hasher: inout Hasher) { hasher.combine(text) }
}

/// A value with the place where it is written.
package struct Located<Value: Sendable>: Sendable {
    package var value: Value
    package let place: SourcePlace
    private let fieldPath: FieldPath

    /// The path of the field in its object, such as `spec.http[0].route[1].weight`.
    package var path: String { fieldPath.text }

    /// Whether both are written at the same place of the same field, whatever the values.
    package func isWritten<Other>(like other: Located<Other>) -> Bool {
        place == other.place && (fieldPath === other.fieldPath || path == other.path)
    }

    init(_ value: Value, place: SourcePlace, path: FieldPath) {
        self.value = value
        self.place = place
        fieldPath = path
    }
}

/// The identity of an object. No two objects of an inventory have the same.
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

    /// A copy whose texts share no memory; see `String.detached`.
    package var detached: ObjectReference {
        ObjectReference(kind: kind.detached, namespace: namespace.detached, name: name.detached)
    }
}

extension String {
    /// A copy of the text in memory of its own. A text that lives longer than a load must not share memory with the
    /// objects that were read, because one remaining text keeps the whole page around it.
    package var detached: String {
        utf8.count <= 15 ? self : String(decoding: Array(utf8), as: UTF8.self)
    }
}

extension [String: String] {
    /// See `String.detached`.
    package var detached: [String: String] {
        var labels: [String: String] = [:]
        labels.reserveCapacity(count)
        for (key, value) in self { labels[key.detached] = value.detached }
        return labels
    }
}

/// The metadata of an object. `namespace` is never empty: objects without one get the default.
package struct ObjectMeta: Sendable {
    package let identity: ObjectReference
    package var labels: [String: String] = [:]
    package var annotations: [String: String] = [:]
    /// Those of `annotations` that are of Portico's own, with the places of their values; nil: there are none.
    @Rare package var ownAnnotations: [String: Located<String>]? = nil
    /// The time as it is written (RFC 3339). Such texts sort by time if they end in `Z`.
    package var creationTimestamp: String?
    package let place: SourcePlace
    /// See `StoredObject.version`.
    package var version: UInt64 = 0
    /// See `StoredObject.layout`.
    package var layout: UInt64 = 0

    package var name: String { identity.name }
    package var namespace: String { identity.namespace }

    /// Makes metadata with nothing else in it.
    package init(identity: ObjectReference, place: SourcePlace) {
        self.identity = identity
        self.place = place
    }
}

/// An optional value behind a reference, so that a field that is rarely used takes only 8 octets.
@propertyWrapper
package struct Rare<Value: Sendable>: Sendable {
    /// Thread: any. Freed by: the last value that has it.
    private final class Storage: Sendable {
        let value: Value
        init(_ value: Value) { self.value = value }
    }
    private var storage: Storage?

    package var wrappedValue: Value? {
        get { storage?.value }
        set { storage = newValue.map(Storage.init) }
    }

    /// Keeps a value.
    package init(wrappedValue: Value?) { storage = wrappedValue.map(Storage.init) }
}

extension Rare: Equatable where Value: Equatable {
    package static func == (left: Rare, right: Rare) -> Bool {
        left.storage === right.storage || left.wrappedValue == right.wrappedValue
    }
}

extension Rare: Hashable where Value: Hashable {
    package func hash(into hasher: inout Hasher) { hasher.combine(wrappedValue) }
}
