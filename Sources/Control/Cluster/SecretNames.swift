package import Kubernetes
package import Routing

/// The Secrets that a plan needs. Source: docs/istio.md, Credentials.
package enum SecretNames {
    /// The end of the name of a Secret that has only authorities.
    static let authoritiesSuffix = "-cacert"

    /// The Secrets that the plan's servers and clusters name. Where one is for authorities, the one of the same name
    /// with `-cacert` is asked for, too, because it counts if it exists.
    package static func all(of plan: RoutingPlan) -> Set<SecretName> {
        var names: Set<SecretName> = []
        for chain in plan.listeners.flatMap(\.chains) {
            for case .secret(let namespace, let name) in chain.certificates {
                names.insert(SecretName(namespace: namespace, name: name))
            }
            if case .secret(let namespace, let name) = chain.clients?.authorities {
                insert(namespace, name, &names)
            }
        }
        for terms in plan.clusters.lazy.compactMap({ $0.tls?.terms }) {
            if case .secret(let namespace, let name) = terms.identity {
                names.insert(SecretName(namespace: namespace, name: name))
            }
            if case .secret(let namespace, let trusted) = terms.trust {
                for name in trusted { insert(namespace, name, &names) }
            }
        }
        return names
    }

    private static func insert(_ namespace: String, _ name: String, _ names: inout Set<SecretName>) {
        let base = name.hasSuffix(authoritiesSuffix) ? String(name.dropLast(authoritiesSuffix.count)) : name
        for name in [base, base + authoritiesSuffix] { names.insert(SecretName(namespace: namespace, name: name)) }
    }
}
