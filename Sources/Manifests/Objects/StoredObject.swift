/// An object that has an identity of its own, and a version.
package protocol StoredObject: Sendable {
    /// The kinds of objects of this type.
    static var kinds: [String] { get }
    var identity: ObjectReference { get }
    /// Where the object begins.
    var place: SourcePlace { get }
    /// A hash of what the object says, whatever its place. Each process has hashes of its own.
    var version: UInt64 { get }
    /// A hash of the lines and columns of all parts of the object. Each process has hashes of its own.
    var layout: UInt64 { get }
}

/// An object of one kind that has metadata.
package protocol ManifestObject: StoredObject {
    var meta: ObjectMeta { get }
}

extension ManifestObject {
    package static var kinds: [String] { ["\(Self.self)"] }
    package var identity: ObjectReference { meta.identity }
    package var place: SourcePlace { meta.place }
    package var version: UInt64 { meta.version }
    package var layout: UInt64 { meta.layout }
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

/// One of the lists of an inventory, for work that every list needs.
package protocol ObjectList: Sendable {
    associatedtype Object: StoredObject
    /// The list's property of an inventory.
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

    /// All lists of valid objects. A kind that is added to the inventory is added here, too.
    package static let lists: [any ObjectList] = [
        List(\.gateways), List(\.virtualServices), List(\.destinationRules), List(\.serviceEntries),
        List(\.workloadEntries), List(\.services), List(\.endpointSlices), List(\.endpoints), List(\.pods),
        List(\.nodes), List(\.secrets), List(\.accessPolicies),
    ]
}
