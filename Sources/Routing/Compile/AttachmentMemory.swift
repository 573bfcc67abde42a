internal import Manifests

/// Which VirtualServices are on which Gateways, with which hosts, for the next compilation in which that is the same.
/// The rules of VirtualServices are no part of it.
struct AttachmentMemory {
    let basis: AttachmentBasis
    let attachments: GatewayAttachments
    let bound: BoundHosts
    /// By VirtualService: the version that gave nothing to report of what it refers to; nil: there was something, or
    /// that depends on other objects.
    let quiet: [ObjectVersion?]
    /// Which hosts there are for destinations, without which `quiet` says nothing.
    let frame: ServiceFrame
}

/// All that decides which VirtualServices are on which Gateways, with which hosts.
struct AttachmentBasis: Equatable {
    private let gateways: [ObjectVersion]
    private let leftOut: [LeftOutVersion]
    private let selected: [String]
    let services: [AttachedService]

    /// - Parameter versions: of VirtualServices; nil for one that says what other objects make of it.
    init(_ inventory: Inventory, own: [Gateway], versions: [ObjectVersion?]) {
        gateways = ObjectVersion.all(inventory.gateways)
        leftOut = inventory.leftOut.map(LeftOutVersion.init)
        selected = own.map(\.meta.reference)
        services = inventory.virtualServices.indices.map {
            AttachedService(inventory.virtualServices, $0, versions[$0])
        }
    }
}

/// What of a VirtualService decides on which Gateways and for which hosts it is.
struct AttachedService: Equatable {
    private let version: ObjectVersion?
    private let age: ObjectMeta.Age
    private let texts: (hosts: [Located<String>], gateways: [Located<String>], exportTo: [Located<String>])
    /// Whether it has rules for requests (`http`).
    let hasRequests: Bool
    /// Whether it has rules for connections (`tls`, `tcp`).
    let hasConnections: Bool

    var namespace: String { age.namespace }

    /// By index, because copying a VirtualService counts a dozen references.
    init(_ all: [VirtualService], _ index: Int, _ version: ObjectVersion?) {
        self.version = version
        age = all[index].meta.age
        texts = (all[index].hosts, all[index].gateways, all[index].exportTo)
        hasRequests = !all[index].http.isEmpty
        hasConnections = !all[index].tls.isEmpty || !all[index].tcp.isEmpty
    }

    static func == (left: AttachedService, right: AttachedService) -> Bool {
        guard left.hasRequests == right.hasRequests, left.hasConnections == right.hasConnections else { return false }
        if let version = left.version, version == right.version { return true }
        let (one, other) = (left.texts, right.texts)
        return left.age == right.age && isSame(one.hosts, other.hosts) && isSame(one.gateways, other.gateways)
            && isSame(one.exportTo, other.exportTo)
    }

    private static func isSame(_ one: [Located<String>], _ other: [Located<String>]) -> Bool {
        one.lazy.map(\.value).elementsEqual(other.lazy.map(\.value))
    }
}

/// Which VirtualServices need not be asked again what they refer to, because the answer would be as it was: nothing to
/// report. And which these are for the next compilation.
///
/// Thread: the compiler's, which is the loader's or a command's. Freed by: the end of the compilation.
final class QuietServices {
    private let versions: [ObjectVersion?]
    private let known: [ObjectVersion?]
    private var isLoud: [Bool]
    private let problems: Problems

    /// - Parameters:
    ///   - versions: of VirtualServices; nil for one that says what other objects make of it.
    ///   - known: those of the compilation before that were quiet; empty if something else is not as it was.
    init(_ versions: [ObjectVersion?], known: [ObjectVersion?], problems: Problems) {
        self.versions = versions
        self.known = known.count == versions.count ? known : []
        self.problems = problems
        isLoud = Array(repeating: false, count: versions.count)
    }

    /// Asks something of those of which it is not known that there is nothing to report.
    func ask(_ limit: LoadLimit, _ question: (Int) -> Void) {
        for index in versions.indices where !isKnown(index) && !limit.isOver {
            let before = problems.attempts
            question(index)
            if problems.attempts != before { isLoud[index] = true }
        }
    }

    private func isKnown(_ index: Int) -> Bool {
        guard !known.isEmpty, let version = versions[index] else { return false }
        return known[index] == version
    }

    /// What is kept for the next compilation.
    var kept: [ObjectVersion?] { versions.indices.map { isLoud[$0] ? nil : versions[$0] } }
}
