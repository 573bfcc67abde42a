package import Octets

/// A kind of objects that can be watched: its place in the API, and how its objects come.
package struct ResourceKind: Hashable, Sendable {
    /// The API group; empty for the core group.
    package let group: String
    /// The versions that can be read, the preferred one first, for example `["v1", "v1beta1", "v1alpha3"]`. The first
    /// one that the server offers is used.
    package let versions: [String]
    /// The name in paths, for example `virtualservices`.
    package let plural: String
    /// The name in objects, for example `VirtualService`.
    package let kind: String
    /// Whether only the objects' metadata come, as `PartialObjectMetadata` of `meta.k8s.io/v1`.
    /// Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches.
    package let isMetadataOnly: Bool
    /// Whether the kind belongs to no namespace, such as Namespace and Node.
    package let isClusterWide: Bool

    package init(
        group: String, versions: [String], plural: String, kind: String, isMetadataOnly: Bool = false,
        isClusterWide: Bool = false
    ) {
        self.group = group
        self.versions = versions
        self.plural = plural
        self.kind = kind
        self.isMetadataOnly = isMetadataOnly
        self.isClusterWide = isClusterWide
    }

    /// The name in messages, for example `virtualservices.networking.istio.io`.
    package var name: String { group.isEmpty ? plural : "\(plural).\(group)" }
}

/// What the client learned of a kind. Events of one kind come in the order in which they happened.
///
/// Objects are JSON texts of single objects, as the server wrote them. Objects of a list lack `apiVersion` and `kind`;
/// the `ResourceKind` says what they are.
package enum ResourceEvent: Sendable, Equatable {
    /// A page of a complete list of a kind, or of a kind within one namespace. From `isFirst` to `isLast` the pages are
    /// the whole: an object of this scope that is in none of them is gone. A list that begins anew replaces one that
    /// was not finished.
    /// - `namespace`: the namespace that was listed; nil: all.
    case page(ResourceKind, namespace: String?, [[UInt8]], isFirst: Bool, isLast: Bool)
    /// An object was added or changed: the whole object. It may be one that is known already, unchanged.
    case changed(ResourceKind, [UInt8])
    /// An object was removed. It may be one that is not known.
    /// - `namespace`: empty for an object of a kind that belongs to no namespace.
    case removed(ResourceKind, namespace: String, name: String)
    /// How current the client's knowledge of a kind is. It comes when it changes.
    /// - `namespace`: the namespace that is concerned; nil: all.
    case state(ResourceKind, namespace: String?, ResourceState)
    /// A Secret that was asked for by name, as it is now. It may be one that is known already, unchanged.
    /// - text: the JSON of the object, which is overwritten when the event is freed.
    case secretRead(SecretName, SecretOctets)
    /// A Secret that was asked for by name does not exist, or may not be read: the reason as `ResourceState`.
    /// `current` says that it is watched.
    case secret(SecretName, ResourceState)
}

/// How current the client's knowledge of a kind is.
package enum ResourceState: Sendable, Equatable {
    /// The list is complete and the watch runs.
    case current
    /// The server does not offer the kind: its CustomResourceDefinition is not installed, or it is a Secret that does
    /// not exist. It is looked for again from time to time.
    case absent
    case refused(Permission)
    /// The server does not answer, or answers with errors. The objects that were delivered stay valid.
    /// - `since`: milliseconds since 1970.
    case unreachable(since: Int64, reason: String)
}

/// A permission that the client lacks, in the words of a Role's rule.
package struct Permission: Sendable, Hashable, CustomStringConvertible {
    /// For example `list`.
    package let verb: String
    /// The group of the API; empty for the core.
    package let group: String
    /// The plural of the kind, as a Role names it.
    package let resource: String
    /// nil: in all namespaces.
    package let namespace: String?
    /// The object's name, of a permission that is needed for one object only.
    package let name: String?

    package init(verb: String, group: String, resource: String, namespace: String?, name: String? = nil) {
        self.verb = verb
        self.group = group
        self.resource = resource
        self.namespace = namespace
        self.name = name
    }

    /// For example: verb "list" on resource "services" in all namespaces.
    package var description: String {
        let full = group.isEmpty ? resource : "\(resource).\(group)"
        let object = name.map { " named \"\($0)\"" } ?? ""
        let scope = namespace.map { " in namespace \"\($0)\"" } ?? " in all namespaces"
        return "verb \"\(verb)\" on resource \"\(full)\"\(object)\(scope)"
    }
}

/// A Secret that is read by its name.
package struct SecretName: Hashable, Sendable {
    package let namespace: String
    package let name: String

    package init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }
}

/// Takes what the client learns.
package protocol ResourceSink: Sendable {
    /// Called on the client's thread, with all that came in one turn. It should return soon: the client reads nothing
    /// more of the server in the meantime.
    func receive(_ events: [ResourceEvent])
    /// Asked after each `receive`: kinds that are to be listed again, because there is room now for objects that the
    /// sink did not take. It may name a kind again until its list comes.
    func kindsToList() -> [ResourceKind]
    /// Called on the client's thread for each limit that is reached.
    func reached(_ limit: ClusterLimit)
}

extension ResourceSink {
    /// A sink that takes everything needs no list again.
    package func kindsToList() -> [ResourceKind] { [] }
}
