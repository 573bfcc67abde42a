/// Where something stands in the files: what every diagnostic points at. Lines and columns count
/// from 1; columns count characters, as editors do.
package struct SourcePlace: Sendable, Hashable {
    package let file: String
    private let storedLine: Int32
    private let storedColumn: Int32

    package var line: Int { Int(storedLine) }
    package var column: Int { Int(storedColumn) }

    package init(file: String, line: Int, column: Int) {
        self.file = file
        storedLine = Int32(clamping: line)
        storedColumn = Int32(clamping: column)
    }
}

/// A value and where it was written.
package struct Located<Value: Sendable>: Sendable {
    package var value: Value
    package let place: SourcePlace
    // The path is kept in two parts so that neighbours share one string.
    private let parent: String
    private let field: String

    /// The field's path in its object, such as `spec.http[0].route[1].weight`.
    package var path: String {
        if parent.isEmpty { return field }
        return field.hasPrefix("[") ? parent + field : parent + "." + field
    }

    package init(_ value: Value, place: SourcePlace, parent: String, field: String) {
        self.value = value
        self.place = place
        self.parent = parent
        self.field = field
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
