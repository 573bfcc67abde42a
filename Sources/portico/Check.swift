internal import ArgumentParser
internal import Control
internal import Manifests
internal import Routing

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print every problem of the definitions with file, line and column.",
        discussion: "Exit status: 0 clean, 1 errors (with --strict: or warnings), 2 could not run.")

    @Argument(help: "Files, folders (*.yaml, *.yml, *.json, recursively) or - for standard input.")
    var paths: [String] = []

    @Option(help: "text or json.")
    var output = OutputForm.text

    @Flag(help: "Warnings count as errors.")
    var strict = false

    @OptionGroup var definitions: Definitions

    @OptionGroup(title: "Kubernetes") var cluster: ClusterOptions

    func validate() throws {
        guard !paths.isEmpty || cluster.isGiven else {
            throw ValidationError("nothing to read; name files or folders, or a cluster by --kubeconfig FILE")
        }
    }

    func run() throws {
        let (set, plan, _) = try definitions.load(paths, cluster)
        let certificates = CertificateCheck.diagnostics(
            of: plan, inventory: set.inventory, meshIdentity: definitions.istioIdentity)
        let found = set.diagnostics + plan.diagnostics + certificates
        let errors = found.count { $0.severity == .error }
        let warnings = found.count { $0.severity == .warning }
        switch output {
        case .json: print(found.json)
        case .text:
            print(found.text, terminator: "")
            print("\(set.sources.count) files: \(errors) errors, \(warnings) warnings")
        }
        if set.couldNotRead { throw ExitStatus.couldNotRun }
        if errors > 0 || (strict && warnings > 0) { throw ExitStatus.problems }
    }
}
