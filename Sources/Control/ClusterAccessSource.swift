package import Kubernetes
internal import Manifests
internal import Octets
internal import Reactor

/// Where the access to a cluster comes from.
package enum ClusterAccessSource: Sendable, Equatable {
    /// The service account of the pod.
    case pod
    /// A context of one or several files; nil: the current one.
    case kubeconfig([String], context: String?)

    /// What `--kubeconfig` says, or else `KUBECONFIG`, or else the file in the home folder.
    package static func kubeconfig(
        path: String?, context: String?, environment: [String: String]
    ) -> ClusterAccessSource {
        if let path { return .kubeconfig([path], context: context) }
        let listed = (environment["KUBECONFIG"] ?? "").split(separator: ":").map(String.init)
        if !listed.isEmpty { return .kubeconfig(listed, context: context) }
        return .kubeconfig(["\(environment["HOME"] ?? "")/.kube/config"], context: context)
    }

    /// Reads the access.
    /// - Parameter environment: the process's variables.
    /// - Throws: an error whose text has a line for each problem, with file, line and column.
    package func access(environment: [String: String]) throws(AccessError) -> ClusterAccess {
        switch self {
        case .pod: return try ClusterAccess.inCluster(environment: environment)
        case .kubeconfig(let paths, let context):
            let (found, diagnostics) = KubeconfigReader.read(try Self.contents(paths), context: context)
            guard let found else { throw AccessError(diagnostics.map { "\($0)" }.joined(separator: "\n")) }
            return ClusterAccess(found)
        }
    }

    /// Files that do not exist are passed over if others do, as kubectl does.
    private static func contents(_ paths: [String]) throws(AccessError) -> [(name: String, octets: [UInt8])] {
        var files: [(name: String, octets: [UInt8])] = []
        var missing: AccessError?
        for path in paths {
            do {
                files.append((path, try FileContents.read(path, limitOctets: KubeconfigReader.mostOctets)))
            } catch {
                let failure = AccessError("\(error)")
                guard FileStamp(path) == nil, paths.count > 1 else { throw failure }
                missing = failure
            }
        }
        if files.isEmpty, let missing { throw missing }
        return files
    }
}

extension ClusterAccess {
    /// The access that a context of a kubeconfig describes.
    init(_ kubeconfig: Kubeconfig) {
        self.init(
            host: kubeconfig.host, port: kubeconfig.port, pathPrefix: kubeconfig.pathPrefix,
            serverName: kubeconfig.serverName, trust: Self.trust(kubeconfig), identity: Self.identity(kubeconfig),
            credential: Self.credential(kubeconfig),
            namespace: kubeconfig.namespace.isEmpty ? "default" : kubeconfig.namespace)
    }

    private static func trust(_ kubeconfig: Kubeconfig) -> Trust {
        if kubeconfig.skipsVerification { return .anything }
        switch kubeconfig.authority {
        case nil: return .system
        case .text(let octets): return .pem(octets.withOctets(\.array) ?? [])
        case .file(let path): return .file(path)
        }
    }

    private static func identity(_ kubeconfig: Kubeconfig) -> Identity? {
        guard let certificate = kubeconfig.certificate, let key = kubeconfig.key else { return nil }
        return Identity(chain: part(certificate), key: part(key))
    }

    private static func part(_ content: Kubeconfig.Content<SecretOctets>) -> IdentityPart {
        switch content {
        case .text(let octets): .text(octets)
        case .file(let path): .file(path)
        }
    }

    private static func credential(_ kubeconfig: Kubeconfig) -> Credential {
        if let plugin = kubeconfig.plugin {
            return .plugin(
                ExecPlugin(
                    apiVersion: plugin.apiVersion, command: plugin.command, arguments: plugin.arguments,
                    environment: plugin.environment.map { ExecPlugin.Variable(name: $0.name, value: $0.value) },
                    installHint: plugin.installHint, tellsCluster: plugin.tellsCluster))
        }
        switch kubeconfig.token {
        case nil: return .none
        case .text(let token): return .token(token)
        case .file(let path): return .tokenFile(path)
        }
    }
}
