internal import Manifests
internal import Routing

/// What a load has to know so that the status of its objects can be written.
struct StatusBasis: Sendable {
    /// `metadata.generation` of the cluster's objects when they were taken.
    var generations: [ObjectReference: Int] = [:]
    /// Gateways that select this gateway, and VirtualServices on them.
    var concerned: Set<ObjectReference> = []
    /// By delegate: the VirtualServices that use its rules.
    var delegates: [ObjectReference: DelegateParents] = [:]
    /// Objects whose newest version has an error.
    var rejected: Set<ObjectReference> = []
}

/// What a load found of one object of the cluster.
struct StatusVerdict: Sendable, Equatable {
    let object: ObjectReference
    let own: OwnStatus
    /// Whether it is written even if the status says nothing of this gateway yet.
    let isWanted: Bool

    /// The most reports that a condition quotes, and the most scalars of its message.
    private static let mostQuoted = 5
    private static let mostScalars = 2_000
    /// The most validation messages of an object.
    private static let mostMessages = 20

    /// What a load found of all objects whose status is written.
    /// - Parameter diagnostics: all that is wrong.
    static func all(of loaded: Loaded, _ diagnostics: [Diagnostic]) -> [StatusVerdict] {
        guard let basis = loaded.basis else { return [] }
        var problems: [ObjectReference: [Diagnostic]] = [:]
        for problem in diagnostics where problem.severity != .note {
            guard let object = problem.object, basis.generations[object] != nil else { continue }
            problems[object, default: []].append(problem)
        }
        let kept = Set(loaded.kept)
        var inFiles: Set<ObjectReference> = []
        for object in loaded.objects where object.place.isInFile { inFiles.insert(object.identity) }
        return basis.generations.map { identity, generation in
            let found = problems[identity] ?? []
            let version: VersionInEffect =
                inFiles.contains(identity)
                ? .inAFile : kept.contains(identity) ? .older : basis.rejected.contains(identity) ? .none : .newest
            let isRouting = identity.kind == "Gateway" || identity.kind == "VirtualService"
            return StatusVerdict(
                object: identity, own: status(version, found, generation, basis.delegates[identity]),
                isWanted: isRouting ? basis.concerned.contains(identity) : !found.isEmpty || version != .newest)
        }
    }

    /// Which version of an object is in effect.
    private enum VersionInEffect { case newest, older, none, inAFile }

    private static func status(
        _ version: VersionInEffect, _ found: [Diagnostic], _ generation: Int, _ parents: DelegateParents?
    ) -> OwnStatus {
        let hasErrors = found.contains { $0.severity == .error }
        let (isTrue, reason, lead): (Bool, String, String) =
            switch version {
            case .inAFile:
                (false, "DefinedInAFile", "A file of the gateway defines this object, too: the file's counts.")
            case .older: (false, "OlderVersionInEffect", "This version has errors: the last good one stays in effect.")
            case .none: (false, "NotInEffect", "This object has errors and is not in effect.")
            case .newest where parents?.serving.isEmpty == true:
                parents?.refused.isEmpty == true
                    ? (false, "NotNamed", "No rule that this gateway serves names this delegate.")
                    : (false, "NotExported", "The VirtualServices that name this delegate may not use it.")
            case .newest where hasErrors: (false, "PartlyInEffect", "A part of this object has errors and no effect.")
            case .newest where !found.isEmpty: (true, "InEffectWithWarnings", "It is in effect, perhaps not as meant.")
            case .newest: (true, "InEffect", "It is in effect.")
            }
        let ordered = found.sorted {
            ($0.severity, $0.path ?? "", $0.message) < ($1.severity, $1.path ?? "", $1.message)
        }
        let through = parents.map(Self.through) ?? []
        var sentences = [lead] + through + ordered.prefix(mostQuoted).map(sentence)
        if found.count > mostQuoted { sentences.append("There are \(found.count - mostQuoted) more.") }
        let text = sentences.joined(separator: "\n").unicodeScalars.prefix(mostScalars)
        var messages: Set<StatusMessage> = []
        for problem in ordered where messages.count < mostMessages {
            messages.insert(StatusMessage(level: problem.severity == .error ? "ERROR" : "WARNING", name: problem.code))
        }
        return OwnStatus(
            status: isTrue ? "True" : "False", reason: reason, message: String(text), generation: generation,
            messages: messages.sorted())
    }

    /// Which VirtualServices use the rules of a delegate, and which may not.
    private static func through(_ parents: DelegateParents) -> [String] {
        /// Names them, the first few.
        func list(_ all: [ObjectReference]) -> String {
            let more = all.count > mostQuoted ? ", and \(all.count - mostQuoted) more" : ""
            return all.prefix(mostQuoted).map { "\($0.namespace)/\($0.name)" }.joined(separator: ", ") + more
        }
        let serving = parents.serving.isEmpty ? [] : ["Its rules are served through \(list(parents.serving))."]
        return parents.refused.isEmpty
            ? serving : serving + ["It is not exported to the namespace of \(list(parents.refused))."]
    }

    /// A report without its place, which is the object itself.
    private static func sentence(_ problem: Diagnostic) -> String {
        var text = problem.path.map { problem.message.hasPrefix("`" + $0) ? "" : "\($0): " } ?? ""
        text += problem.message
        if let hint = problem.hint { text += "; \(hint)" }
        return text
    }
}

extension StatusBasis {
    /// - Parameters:
    ///   - generations: of the cluster's objects.
    ///   - labels: of this gateway.
    init(
        _ inventory: Inventory, generations: [ObjectReference: Int], rejected: Set<ObjectReference>,
        labels: [String: String]
    ) {
        self.generations = generations
        self.rejected = rejected
        var (own, all): (Set<String>, Set<String>) = ([], [])
        for gateway in inventory.gateways {
            let name = "\(gateway.meta.namespace)/\(gateway.meta.name)"
            all.insert(name)
            guard gateway.selector.allSatisfy({ labels[$0.key] == $0.value }) else { continue }
            own.insert(name)
            concerned.insert(gateway.meta.identity)
        }
        // A Gateway that cannot be read does not say which gateway it is for, and a VirtualService that names a missing
        // Gateway does not either: both count as this gateway's.
        for object in rejected where object.kind == "Gateway" {
            concerned.insert(object)
            own.insert("\(object.namespace)/\(object.name)")
        }
        let isConcerned = { (gateways: [String], namespace: String) in
            gateways.contains { gateway in
                let name = gateway.contains("/") ? gateway : "\(namespace)/\(gateway)"
                return gateway != "mesh" && (own.contains(name) || !all.contains(name))
            }
        }
        let services = inventory.virtualServices
        let served = services.indices.map {
            isConcerned(services[$0].gateways.map(\.value), services[$0].meta.namespace)
        }
        for place in services.indices where served[place] { concerned.insert(services[place].meta.identity) }
        delegates = DelegateParents.all(of: services) { served[$0] }
        // One that nobody names does not say which gateway it is for, either.
        for (delegate, parents) in delegates
        where !parents.serving.isEmpty || !parents.refused.isEmpty || !parents.isNamed {
            concerned.insert(delegate)
        }
        for object in inventory.leftOut
        where object.identity.kind == "VirtualService" && isConcerned(object.gateways, object.identity.namespace) {
            concerned.insert(object.identity)
        }
    }
}
