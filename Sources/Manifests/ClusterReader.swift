internal import JSON
package import Octets

/// What one object of an API server came to.
package struct ClusterObject: Sendable {
    /// Its identity; nil if the server sent something without a name, or something that is not JSON.
    package let identity: ObjectReference?
    /// The object, or nothing, and its problems.
    package let set: ManifestSet
    /// As `StoredObject.version`, also of an object that is left out because of an error.
    package let version: UInt64
}

/// Reads objects that an API server sends as JSON, by the same strict decoders as files. There are two differences: a
/// problem's place is `kubernetes:namespace/kind/name`, and a field that is not known is a note, because a newer server
/// has fields that Portico cannot know.
///
/// It keeps what objects share.
///
/// Thread: one at a time. Freed by: its owner.
package final class ClusterReader {
    package let defaultNamespace: String
    private var state: DecodingState
    private var labels: Set<[String: String]> = []

    /// The most different labels of Pods, and paths with expressions, that are kept to be shared. With the expressions
    /// of one more object there are fewer than a load may have.
    private static let mostShared = PatternTable.mostOfLoad - PatternTable.mostOfObject - 1

    /// - Parameter defaultNamespace: of objects without one, which a server does not send.
    package init(defaultNamespace: String) {
        self.defaultNamespace = defaultNamespace
        state = DecodingState(defaultNamespace: defaultNamespace)
    }

    /// Reads one object.
    /// - Parameters:
    ///   - kind: what it is; objects of a list do not say so themselves.
    ///   - octets: the JSON of the object alone.
    package func read(kind: String, _ octets: [UInt8]) -> ClusterObject {
        begin()
        return octets.withOctets { read(kind, $0) }
    }

    /// Reads a Secret, of whose text no copy is left afterwards.
    /// - Parameter octets: the JSON of the object alone.
    package func read(secret octets: SecretOctets) -> ClusterObject {
        begin()
        let found = octets.withOctets { read("Secret", $0) }
        return found ?? unreadable("Secret", "a Secret was forgotten before it was read: it is not used")
    }

    private func begin() {
        if state.shared > Self.mostShared { state = DecodingState(defaultNamespace: defaultNamespace) }
        state.output = ManifestSet()
        state.defined.removeAll(keepingCapacity: true)
        state.beginFile(nil)
    }

    private func read(_ kind: String, _ octets: Octets) -> ClusterObject {
        do throws(JSONError) {
            var tree = try JSONTreeBuilder.tree(of: octets, kind: kind)
            defer { tree.text.wipe() }
            return read(kind, tree)
        } catch {
            return faulty(kind, octets, error)
        }
    }

    /// An object that is no JSON that is read. If at least its name can be found, the object is refused by that name,
    /// so that its last good version stays in effect.
    private func faulty(_ kind: String, _ octets: Octets, _ error: JSONError) -> ClusterObject {
        guard let metadata = try? MetadataSkim(octets: octets), !metadata.name.isEmpty else {
            return unreadable(kind, "an object of kind \(kind) is \(error): it is not used")
        }
        let namespace = metadata.namespace.isEmpty ? defaultNamespace : metadata.namespace
        let identity = ObjectReference(kind: kind, namespace: namespace, name: metadata.name)
        let place = SourcePlace(file: "kubernetes:\(namespace)/\(kind)/\(metadata.name)", line: 0, column: 0)
        var set = ManifestSet()
        var hasher = Hasher()
        hasher.combine(octets)
        let version = UInt64(bitPattern: Int64(hasher.finalize()))
        if AccessPolicy.kinds.contains(kind) {
            set.impaired.insert(identity)
            set.inventory.accessPolicies.append(AccessPolicy(unreadable: identity, at: place, version: version))
        } else {
            set.rejected.insert(identity)
            set.inventory.leftOut.append(LeftOut(identity: identity, place: place))
        }
        set.diagnostics.append(
            Diagnostic(
                .error, "not-json", "the object is \(error): this version of it is not used", at: place,
                object: identity))
        return ClusterObject(identity: identity, set: set, version: version)
    }

    /// It is a function of its own, so that nothing holds the tree when it returns.
    private func read(_ kind: String, _ tree: Tree) -> ClusterObject {
        guard let identity = ObjectReader.identity(kind, tree, defaultNamespace: defaultNamespace) else {
            return unreadable(kind, "an object of kind \(kind) without a name: it is not used")
        }
        let source = SourceName("kubernetes:\(identity.namespace)/\(kind)/\(identity.name)")
        let decoder = Decoder(file: source, tree: tree, state: state, origin: .cluster)
        ObjectReader(decoder: decoder).readObject(identity)
        if kind == "Pod" { shareLabels() }
        defer { state.output = ManifestSet() }    // it may have a Secret
        return ClusterObject(identity: identity, set: state.output, version: tree.version(of: tree.root))
    }

    /// The Pods of one ReplicaSet have the same labels.
    private func shareLabels() {
        guard let own = state.output.inventory.pods.first?.meta.labels else { return }
        if labels.count > Self.mostShared { labels = [] }
        state.output.inventory.pods[0].meta.labels = labels.insert(own).memberAfterInsert
    }

    private func unreadable(_ kind: String, _ sentence: String) -> ClusterObject {
        var set = ManifestSet()
        let place = SourcePlace(file: "kubernetes:\(kind)", line: 0, column: 0)
        set.diagnostics.append(Diagnostic(.error, "not-json", sentence, at: place))
        return ClusterObject(identity: nil, set: set, version: 0)
    }
}

@available(*, unavailable) extension ClusterReader: Sendable {}
