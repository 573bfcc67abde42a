/// An object that is told from all others by its identity, and from another version of itself.
package protocol StoredObject: Sendable {
    /// The kinds that objects of this type are of.
    static var kinds: [String] { get }
    var identity: ObjectReference { get }
    /// Where it begins, in the words of its source: a file, line and column.
    var place: SourcePlace { get }
    /// Equal in two versions of an object that say the same, wherever they stand; a hash of this process.
    var version: UInt64 { get }
}

/// One with metadata, of one kind.
package protocol ManifestObject: StoredObject {
    var meta: ObjectMeta { get }
}

extension ManifestObject {
    package static var kinds: [String] { ["\(Self.self)"] }
    package var identity: ObjectReference { meta.identity }
    package var place: SourcePlace { meta.place }
    package var version: UInt64 { meta.version }
}

extension Gateway: ManifestObject {}
extension VirtualService: ManifestObject {}
extension DestinationRule: ManifestObject {}
extension ServiceEntry: ManifestObject {}
extension WorkloadEntry: ManifestObject {}
extension Service: ManifestObject {}
extension EndpointSlice: ManifestObject {}
extension Endpoints: ManifestObject {}
extension Pod: ManifestObject {}
extension Secret: ManifestObject {}
extension AccessPolicy: StoredObject {}

/// A list of an inventory, for what is done with each of them.
package protocol ObjectList: Sendable {
    associatedtype Object: StoredObject
    var path: any WritableKeyPath<Inventory, [Object]> & Sendable { get }
}

extension ObjectList {
    /// The identities of the list's objects, in order.
    package func identities(in inventory: Inventory) -> [ObjectReference] {
        inventory[keyPath: path].map(\.identity)
    }

    /// Whether objects of this identity's kind are in the list.
    package func holds(_ identity: ObjectReference) -> Bool { Object.kinds.contains(identity.kind) }
}

extension Inventory {
    private struct List<Object: StoredObject>: ObjectList {
        let path: any WritableKeyPath<Inventory, [Object]> & Sendable
        init(_ path: any WritableKeyPath<Inventory, [Object]> & Sendable) { self.path = path }
    }

    /// All lists of good objects: a kind that is added to the inventory is added here.
    package static let lists: [any ObjectList] = [
        List(\.gateways), List(\.virtualServices), List(\.destinationRules), List(\.serviceEntries),
        List(\.workloadEntries), List(\.services), List(\.endpointSlices), List(\.endpoints), List(\.pods),
        List(\.secrets), List(\.accessPolicies),
    ]
}
