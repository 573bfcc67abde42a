internal import Manifests

/// What one compilation leaves for the next one, so that a change of a few objects does not cost what all objects cost.
/// Nothing of it changes what a plan is: each part names what it was made of, and is used only where that is the same.
///
/// It keeps what VirtualServices were compiled to (`RuleMemory`), the clusters that they lead to (`ClusterMemory`), on
/// which Gateways they are (`AttachmentMemory`), and what was found of Services (`ServiceFrame`). Of rules and clusters
/// only what had nothing to report is kept, because reports have limits that depend on everything that was reported
/// before.
package struct CompileMemory {
    var frame: ServiceFrame?
    var clusters: ClusterMemory?
    var rules: RuleMemory?
    var attached: AttachmentMemory?
    var endpoints: EndpointMemory?
    /// Whose endpoints may be others than when it was made; nil: everybody's.
    private(set) var concern: EndpointConcern? = EndpointConcern()

    package init() {}

    /// Notes whose endpoints have changed in the table of the next compilation.
    /// - Parameter changed: nil if it is another table.
    package mutating func note(_ changed: EndpointConcern?) {
        guard let changed, concern != nil else {
            concern = nil
            return
        }
        concern?.services.formUnion(changed.services)
        concern?.podNamespaces.formUnion(changed.podNamespaces)
    }
}

/// What tells one version of an object from another, wherever the two are.
struct ObjectVersion: Sendable, Hashable {
    private let content: UInt64
    private let layout: UInt64
    private let place: SourcePlace

    init(_ meta: ObjectMeta) { self.init(content: meta.version, layout: meta.layout, place: meta.place) }

    private init(content: UInt64, layout: UInt64, place: SourcePlace) {
        (self.content, self.layout, self.place) = (content, layout, place)
    }

    /// Of all objects of a kind, in their order.
    static func all(_ objects: [some ManifestObject]) -> [ObjectVersion] {
        objects.indices.map { ObjectVersion(objects[$0].meta) }
    }
}

/// What tells one version of an object that was left out from another: all that is known of it.
struct LeftOutVersion: Equatable {
    private struct Field: Equatable {
        let place: SourcePlace
        let texts: [String]

        init(_ field: ClosingField) {
            place = field.place
            texts = [field.name, field.written, field.path]
        }
    }

    private let identity: ObjectReference
    private let place: SourcePlace
    private let texts: [[String]]
    private let fields: [[Field]]

    init(_ object: LeftOut) {
        identity = object.identity
        place = object.place
        texts = [object.hosts, object.gateways, object.exportTo]
        fields = [object.closings.map(Field.init), object.protections.map(Field.init)]
    }
}

/// What is known of all hosts that destinations can name. It is made of Services, ServiceEntries, WorkloadEntries,
/// DestinationRules, the names of Secrets, the objects that were left out, and the place of this gateway.
///
/// Thread: the compiler's, which is the loader's or a command's. Freed by: the next memory.
final class ServiceFrame {
    let directory: ServiceDirectory
    let finder: SourceFinder
    let policies: PolicyDirectory
    /// The health checks that Services ask for.
    let health: HealthAnnotations
    /// Services that are defined, or were left out for an error.
    let services: Set<ServiceName>
    private(set) lazy var hostNames = directory.byHost.keys.sorted()
    private let basis: Basis
    /// What was found wrong while it was made, for each compilation that uses it.
    private let reports: [Diagnostic]

    private struct Basis: Equatable {
        let versions: [[ObjectVersion]]
        let secrets: [ServiceName]
        let leftOut: [LeftOutVersion]
        /// Where this gateway is, which its Node may say.
        let locality: Locality?

        init(_ inventory: Inventory, _ options: CompileOptions) {
            locality = options.locality
            versions = [
                ObjectVersion.all(inventory.services), ObjectVersion.all(inventory.serviceEntries),
                ObjectVersion.all(inventory.workloadEntries), ObjectVersion.all(inventory.destinationRules),
            ]
            secrets = inventory.secrets.map { ServiceName($0.meta) }
            leftOut = inventory.leftOut.map(LeftOutVersion.init)
        }
    }

    /// The frame of an inventory: `old`, if that is made of the same.
    static func of(_ inventory: Inventory, _ old: ServiceFrame?, names: Names, problems: Problems) -> ServiceFrame {
        let basis = Basis(inventory, names.options)
        let frame = old.flatMap { $0.basis == basis ? $0 : nil } ?? ServiceFrame(inventory, basis, names: names)
        for report in frame.reports { problems.add(report) }
        return frame
    }

    private init(_ inventory: Inventory, _ basis: Basis, names: Names) {
        self.basis = basis
        var own = Inventory()    // what the finder asks for, so that nothing else is kept in memory
        own.services = inventory.services
        own.serviceEntries = inventory.serviceEntries
        own.workloadEntries = inventory.workloadEntries
        directory = ServiceDirectory(own, names: names)
        finder = SourceFinder(own)
        policies = PolicyDirectory(inventory, names: names)
        let problems = Problems()
        health = HealthAnnotations(inventory, problems)
        reports = problems.sorted
        var services = Set(inventory.services.lazy.map { ServiceName($0.meta).detached })
        for object in inventory.leftOut where object.identity.kind == "Service" {
            services.insert(ServiceName(namespace: object.identity.namespace, name: object.identity.name).detached)
        }
        self.services = services
    }
}
