internal import ArgumentParser
internal import Control
internal import Kubernetes
internal import Manifests
internal import Routing

struct RBAC: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rbac",
        abstract: "Print the least Roles for the gateway that `serve` with the same flags would be.",
        discussion: """
            Secrets are named one by one: those that the Gateways and DestinationRules of PATHS and cluster name. \
            With a cluster, comments say what the account that asks is granted and does not need, and what it lacks.
            """)

    @Argument(help: "Files, folders (*.yaml, *.yml, *.json, recursively) or - for standard input.")
    var paths: [String] = []

    @Option(help: "The service account of the gateway's pods, and the name of the Roles.")
    var serviceAccount = "portico"

    @OptionGroup var definitions: Definitions

    @OptionGroup(title: "Kubernetes") var cluster: ClusterOptions

    @OptionGroup(title: "Status of objects") var writing: StatusOptions

    func run() throws {
        let (set, plan, _) = try definitions.load(paths, cluster)
        guard !set.couldNotRead else {
            print(set.diagnostics.text, terminator: "")
            throw ExitStatus.couldNotRun
        }
        let kinds = ClusterSource.kinds.filter { $0 != .endpoints } + (plan.needsNodes ? [.nodes] : [])
        let rules = NeededRights.all(
            kinds: kinds, namespaces: cluster.watchNamespace,
            secrets: SecretNames.all(of: plan),
            lease: writing.statusWriter ? writing.plan(namespace: definitions.namespace).lease : nil)
        let comments = cluster.isGiven ? try review(rules) : ""
        print(
            "# The least rights of this gateway, by `portico rbac`.\n" + comments
                + RoleText.yaml(rules, serviceAccount: serviceAccount, namespace: definitions.namespace), terminator: ""
        )
    }

    /// Compares with what the account that asks may do, in each namespace that matters.
    private func review(_ rules: [AccessRule]) throws -> String {
        let places = Set(rules.compactMap(\.namespace)).union([definitions.namespace]).sorted()
        var text = ""
        let access = try cluster.access()
        do throws(ClusterReadingError) {
            let review = try RightsReview(access)
            defer { review.stop() }
            for place in places {
                let granted = try review.granted(in: place)
                for right in granted.unneeded(rules, namespace: place) {
                    text += "# granted in namespace \(place) and not needed: \(right)\n"
                }
                for right in granted.missing(rules, namespace: place) {
                    text += "# needed in namespace \(place) and not granted: \(right)\n"
                }
                if granted.isIncomplete { text += "# the server does not tell all rights in namespace \(place)\n" }
            }
        } catch {
            Definitions.say(true, "\(error)")
            throw ExitStatus.couldNotRun
        }
        return text
    }
}
