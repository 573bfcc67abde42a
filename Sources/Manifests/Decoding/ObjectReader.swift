internal import Octets

/// Reads the documents of one file into objects of the inventory.
struct ObjectReader {
    let decoder: Decoder

    /// Reads the document that the decoder's tree holds.
    func readDocument() {
        let root = decoder.tree.root
        guard root != Node.none, !Value(decoder: decoder, node: root).isNull else { return }
        read(root, depth: 0)
    }

    /// Reads the object that the decoder's tree holds, and whose identity is known.
    func readObject(_ identity: ObjectReference) {
        let value = Value(decoder: decoder, node: decoder.tree.root)
        if AccessPolicy.kinds.contains(identity.kind) {
            if let policy = AccessPolicy(identity, value) {
                decoder.state.output.inventory.accessPolicies.append(policy)
            }
        } else if Self.kinds.contains(where: { $0.kind == identity.kind }) {
            decoder.begin(identity, at: decoder.tree.root)
            decode(identity.kind, value)
        }
    }

    private func read(_ node: NodeIndex, depth: Int) {
        decoder.begin(nil, at: node)
        let value = Value(decoder: decoder, node: node)
        guard decoder.tree[node].kind == .mapping else {
            value.error("not-an-object", "an object with `apiVersion` and `kind` is wanted here")
            return
        }
        if isCompanion(node) { return }
        guard let kind = text("kind", in: node), let version = text("apiVersion", in: node) else {
            decoder.reportTreeProblems()
            return
        }
        if kind.hasSuffix("List"), let items = decoder.tree.value(of: "items", in: node) {
            return readList(items, of: node, depth: depth)
        }
        decoder.begin(reference(kind, node), at: node)
        decode(kind, version, value)
    }

    /// Reads the items of a List. Its own fields are of no use.
    private func readList(_ items: NodeIndex, of list: NodeIndex, depth: Int) {
        let value = Value(decoder: decoder, node: items)
        guard depth < 4 else {
            return value.error("too-deep", "lists in lists in lists")
        }
        if value.isNull { return }
        for item in value.elements() { read(item.node, depth: depth + 1) }
    }

    /// Whether the document is no object, in a file that has none by its name. That is noted once for the file.
    private func isCompanion(_ node: NodeIndex) -> Bool {
        guard let companion = decoder.state.companion else { return false }
        let names: [StaticString] = ["kind", "apiVersion"]
        if names.allSatisfy({ decoder.tree.value(of: $0, in: node) != nil }) { return false }
        if decoder.state.notedKinds.insert(decoder.file.text).inserted {
            decoder.note("no-objects", companion.message, hint: companion.hint, at: node)
        }
        return true
    }

    /// A required text of the envelope.
    private func text(_ name: StaticString, in node: NodeIndex) -> String? {
        guard let found = decoder.tree.value(of: name, in: node) else {
            decoder.error(
                "missing-field", "`\(name)` is missing",
                hint: CompanionFile(path: decoder.file.text).map { "\($0.message); \($0.hint)" }
                    ?? "every object has `apiVersion` and `kind`", at: node, path: "\(name)")
            return nil
        }
        return Value(decoder: decoder, node: found).string()
    }

    /// The object's identity. It is read first, so that every report can name it.
    private func reference(_ kind: String, _ node: NodeIndex) -> ObjectReference? {
        Self.identity(kind, decoder.tree, at: node, defaultNamespace: decoder.state.defaultNamespace)
    }

    /// The identity of an object of a known kind; nil if it has no name.
    /// - Parameter node: where it begins; nil: at the tree's root.
    static func identity(
        _ kind: String, _ tree: Tree, at node: NodeIndex? = nil, defaultNamespace: String
    ) -> ObjectReference? {
        let node = node ?? tree.root
        guard node != Node.none, let metadata = tree.value(of: "metadata", in: node),
            let name = tree.value(of: "name", in: metadata), tree[name].isScalar
        else { return nil }
        var namespace = defaultNamespace
        if let written = tree.value(of: "namespace", in: metadata), tree[written].isScalar, tree[written].count > 0 {
            namespace = tree.string(written)
        }
        return ObjectReference(kind: kind, namespace: namespace, name: tree.string(name))
    }
}

// MARK: Kinds

extension ObjectReader {
    private static let istioVersions = ["v1", "v1beta1", "v1alpha3"]

    /// The kinds that are read, with their groups and versions.
    private static let kinds: [(group: String, versions: [String], kind: String)] = [
        ("networking.istio.io", istioVersions, "Gateway"),
        ("networking.istio.io", istioVersions, "VirtualService"),
        ("networking.istio.io", istioVersions, "DestinationRule"),
        ("networking.istio.io", istioVersions, "ServiceEntry"),
        ("networking.istio.io", istioVersions, "WorkloadEntry"),
        ("", ["v1"], "Service"), ("", ["v1"], "Endpoints"), ("", ["v1"], "Pod"),
        ("", ["v1"], "Node"), ("", ["v1"], "Secret"), ("discovery.k8s.io", ["v1"], "EndpointSlice"),
    ]

    private func decode(_ kind: String, _ apiVersion: String, _ value: Value) {
        // Most documents have the same kind as the one before.
        if let last = decoder.state.knownKind, last == (kind, apiVersion) {
            return decode(kind, value)
        }
        let parts = apiVersion.split(separator: "/", maxSplits: 1).map(String.init)
        let group = parts.count == 2 ? parts[0] : ""
        let version = parts.last ?? ""
        guard let known = Self.kinds.first(where: { $0.group == group && $0.kind == kind }) else {
            return noteUnread(kind, apiVersion, group, value)
        }
        guard known.versions.contains(version) else {
            let prefix = group.isEmpty ? "" : group + "/"
            value.error(
                "unknown-version", "\(kind) has no version `\(apiVersion)`",
                hint: "write apiVersion: \(prefix)\(known.versions[0])")
            return reject()
        }
        decoder.state.knownKind = (kind, apiVersion)
        decode(kind, value)
    }

    private func decode(_ kind: String, _ value: Value) {
        decoder.reportTreeProblems()
        guard var mapping = value.mapping() else { return }
        mapping.ignore("apiVersion", "kind", "status")
        guard let meta = Self.meta(&mapping, kind: kind) else { return reject() }
        let first = decoder.state.defined[meta.identity]
        if let first {
            // It is not served, but it is checked: an author who removes the first one should know what is left.
            decoder.isRepeated = true
            decoder.error(
                "duplicate-object", "\(meta.identity) is defined twice; the first one counts",
                hint: "remove one of the two", at: value.node, path: "",
                related: [.init(place: first, message: "first defined here")])
        } else {
            decoder.state.defined[meta.identity] = meta.place
        }
        NotInEffect.report(kind, value)
        add(meta, mapping)
    }

    private func add(_ meta: ObjectMeta, _ envelope: Mapping) {
        var mapping = envelope
        switch meta.identity.kind {
        case "Gateway": keep(Gateway(meta, &mapping), meta, \.gateways)
        case "VirtualService":
            keep(VirtualService(meta, &mapping), meta, \.virtualServices) { service, leftOut in
                leftOut.hosts = service.hosts.map(\.value)
                leftOut.gateways = service.gateways.map(\.value)
                leftOut.exportTo = service.exportTo.map(\.value)
            }
        case "DestinationRule":
            keep(DestinationRule(meta, &mapping), meta, \.destinationRules) { $1.hosts = [$0.host.value] }
        case "ServiceEntry":
            keep(ServiceEntry(meta, &mapping), meta, \.serviceEntries) { $1.hosts = $0.hosts.map(\.value) }
        case "WorkloadEntry": keep(WorkloadEntry(meta, &mapping), meta, \.workloadEntries)
        case "Service": keep(Service(meta, &mapping), meta, \.services)
        case "Endpoints": keep(Endpoints(meta, &mapping), meta, \.endpoints)
        case "EndpointSlice": keep(EndpointSlice(meta, &mapping), meta, \.endpointSlices)
        case "Pod": keep(Pod(meta, &mapping), meta, \.pods)
        case "Node": keep(ClusterNode(meta, &mapping), meta, \.nodes)
        case "Secret": keep(Secret(meta, &mapping), meta, \.secrets)
        default: break
        }
    }

    private func keep<Kind>(
        _ object: Kind?, _ meta: ObjectMeta, _ list: WritableKeyPath<Inventory, [Kind]>,
        whenLeftOut describe: (Kind, inout LeftOut) -> Void = { _, _ in }
    ) {
        let firstError = decoder.firstError
        let outcome = decoder.end()
        guard outcome != .repeated else { return }
        guard let object, outcome != .rejected else {
            reject(meta.identity, firstError) { leftOut in
                if let object { describe(object, &leftOut) }
            }
            return
        }
        if outcome == .lacksPart { decoder.state.output.impaired.insert(meta.identity) }
        decoder.state.output.inventory[keyPath: list].append(object)
    }

    /// Leaves the object out before any part of it was read.
    private func reject() {
        if let object = decoder.object { reject(object, decoder.firstError) { _ in } }
    }

    private func reject(
        _ object: ObjectReference, _ firstError: SourcePlace?, _ describe: (inout LeftOut) -> Void
    ) {
        decoder.state.output.rejected.insert(object)
        var leftOut = LeftOut(identity: object, place: firstError ?? decoder.place(decoder.top))
        describe(&leftOut)
        if object.kind == "DestinationRule" {
            leftOut.closings = decoder.closings.values.flatMap(\.self)
            leftOut.protections = decoder.protections
        }
        decoder.state.output.inventory.leftOut.append(leftOut)
    }

    /// Reports a kind that is not read, once. It is a warning for kinds of Istio and other routing kinds, from which an
    /// author expects an effect.
    private func noteUnread(
        _ kind: String, _ apiVersion: String, _ group: String, _ value: Value
    ) {
        if group == "kustomize.config.k8s.io" {
            let kustomization = CompanionFile.kustomization
            return decoder.note("no-objects", kustomization.message, hint: kustomization.hint, at: value.node)
        }
        let siblings = Self.kinds.filter { $0.group == group }.map(\.kind)
        if let near = NearestName.find(kind, among: siblings) {
            value.error(
                "unknown-kind", "`\(kind)` is no kind of \(apiVersion)",
                hint: "did you mean `\(near)`?")
            return
        }
        if group == "security.istio.io", AccessPolicy.kinds.contains(kind), let identity = decoder.object,
            let policy = AccessPolicy(identity, value)
        {
            decoder.state.output.inventory.accessPolicies.append(policy)
        }
        guard decoder.state.notedKinds.insert("\(kind) \(apiVersion)").inserted else { return }
        let name = "\(kind) (\(apiVersion))"
        if group.hasSuffix(".istio.io") {
            value.warning(
                NotInEffect.code, "\(name) is not in effect yet: requests are served without it",
                hint: "said once for all of them")
        } else if group == "gateway.networking.k8s.io" || kind == "Ingress" {
            value.warning(
                "unsupported-kind", "\(name): not read",
                hint: "write a Gateway and a VirtualService of networking.istio.io")
        } else {
            decoder.note(
                "unread-kind", "\(name): not read; a gateway needs nothing of it", at: value.node)
        }
    }
}

// MARK: Metadata

extension ObjectReader {
    /// The kinds whose names must be labels: a Service's name is a part of host names, and a Gateway's, by Istio's
    /// rule, of the names of its routes.
    private static let kindsNamedByLabels = ["Gateway", "Service"]

    static func meta(_ envelope: inout Mapping, kind: String) -> ObjectMeta? {
        guard let value = envelope.require("metadata"), var metadata = value.mapping() else {
            return nil
        }
        let decoder = value.decoder
        let name = metadata.require("name")
        let namespaceField = metadata.field("namespace")
        let namespace = namespaceField?.string()
        metadata.ignore(
            "generateName", "selfLink", "uid", "resourceVersion", "generation",
            "deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences", "finalizers",
            "managedFields", "clusterName")
        let labels = metadata.stringMap("labels")
        var annotations: [String: String] = [:]
        var ownAnnotations: [String: Located<String>]?
        if kind == "Secret" {
            // `kubectl apply` writes the whole Secret into one of them.
            metadata.ignore("annotations")
        } else {
            let field = metadata.field("annotations")
            annotations = field?.stringMap() ?? [:]
            ownAnnotations = field?.ownAnnotations(among: annotations)
        }
        let created = metadata.string("creationTimestamp")
        metadata.finish(unknown: .harmless)
        guard let name, let text = name.string() else { return nil }
        if namespaceField != nil, namespace == nil { return nil }
        let isLabel = kindsNamedByLabels.contains(kind)
        guard isLabel ? Grammar.isLabel(text) : Grammar.isSubdomain(text) else {
            name.error(
                "invalid-name", "`\(text)` cannot be the name of a \(kind)",
                hint: isLabel
                    ? "at most 63 lower-case letters, digits and `-`"
                    : "at most 253 lower-case letters, digits, `-` and `.`, with a letter or digit at both ends "
                        + "and beside each dot")
            return nil
        }
        if let namespace, !namespace.isEmpty, !Grammar.isLabel(namespace) {
            namespaceField?.error(
                "invalid-name", "`\(namespace)` cannot be a namespace",
                hint: "at most 63 lower-case letters, digits and `-`")
            return nil
        }
        let identity = ObjectReference(
            kind: kind,
            namespace: namespace.flatMap { $0.isEmpty ? nil : $0 }
                ?? decoder.state.defaultNamespace,
            name: text)
        var meta = ObjectMeta(identity: identity, place: envelope.place)
        meta.labels = labels
        meta.annotations = annotations
        meta.ownAnnotations = ownAnnotations
        meta.creationTimestamp = created
        meta.version = decoder.tree.version(of: envelope.value.node)
        meta.layout = decoder.tree.layout(of: envelope.value.node)
        return meta
    }
}
