internal import ArgumentParser
internal import Manifests
internal import Routing

struct Routes: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print what the definitions come to: listener, host, rule, destination, endpoints.")

    @Argument(help: "Files, folders (*.yaml, *.yml, *.json, recursively) or - for standard input.")
    var paths: [String] = []

    @Option(help: "text or json.")
    var output = OutputForm.text

    @OptionGroup var definitions: Definitions

    @OptionGroup(title: "Kubernetes") var cluster: ClusterOptions

    func validate() throws {
        guard !paths.isEmpty || cluster.isGiven else {
            throw ValidationError("nothing to read; name files or folders, or a cluster by --kubeconfig FILE")
        }
    }

    func run() throws {
        let (set, plan, endpoints) = try definitions.load(paths, cluster)
        guard !set.couldNotRead else {
            print(set.diagnostics.text, terminator: "")
            throw ExitStatus.couldNotRun
        }
        let text = output == .json ? plan.renderJSON(endpoints: endpoints) : plan.renderTree(endpoints: endpoints)
        print(text, terminator: text.hasSuffix("\n") ? "" : "\n")
    }
}
