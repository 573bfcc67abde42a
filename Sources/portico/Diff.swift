internal import ArgumentParser
internal import Control
internal import Manifests
internal import Routing

struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print how the routes in effect of two sets of definitions differ.",
        discussion: """
            `portico diff OLD NEW` compares two files or folders. `portico diff --kubeconfig FILE NEW …` compares a \
            cluster as it is with the cluster after the files are applied. Exit status: 0 no difference, 1 differences,\
             2 could not run.
            """)

    @Argument(help: "OLD and NEW: files or folders. With a cluster, which is OLD: the files and folders to apply.")
    var paths: [String] = []

    @Flag(help: "Other endpoints are a difference, too.")
    var endpoints = false

    @Option(help: "text or json.")
    var output = OutputForm.text

    @OptionGroup var definitions: Definitions

    @OptionGroup(title: "Kubernetes") var cluster: ClusterOptions

    func validate() throws {
        if cluster.isGiven, paths.isEmpty {
            throw ValidationError("nothing to compare the cluster with; name the files or folders to apply")
        }
        if !cluster.isGiven, paths.count != 2 {
            throw ValidationError("name two files or folders, OLD and NEW, or a cluster by --kubeconfig FILE")
        }
    }

    func run() throws {
        let (old, new) = try definitions.loadBoth(paths, cluster)
        for side in [old, new] where side.set.couldNotRead {
            print(side.set.diagnostics.text, terminator: "")
            throw ExitStatus.couldNotRun
        }
        let routes = RouteDifference(
            old: (old.plan, old.endpoints), new: (new.plan, new.endpoints), comparesEndpoints: endpoints)
        let problems = ProblemDifference(old: old, new: new)
        switch output {
        case .text: print(Self.text(routes, problems), terminator: "")
        case .json: print(Self.json(routes, problems))
        }
        if !routes.isEmpty || !problems.isEmpty { throw ExitStatus.problems }
    }

    private static func text(_ routes: RouteDifference, _ problems: ProblemDifference) -> String {
        var text = routes.text
        if !problems.added.isEmpty { text += "new problems:\n" + problems.added.text }
        if !problems.removed.isEmpty { text += "problems that are gone:\n" + problems.removed.text }
        guard !routes.isEmpty || !problems.isEmpty else { return "no difference: every request is served as before\n" }
        let added = routes.count(.added)
        let removed = routes.count(.removed)
        return text + "\(added) lines added, \(removed) removed; \(problems.added.count) new problems\n"
    }

    private static func json(_ routes: RouteDifference, _ problems: ProblemDifference) -> String {
        var writer = JSONText()
        writer.object {
            $0.field("routes", of: routes) { $0.write(to: &$1) }
            $0.field("newProblems", of: problems.added) { $1.array($0) { $1.string($0.description) } }
            $0.field("goneProblems", of: problems.removed) { $1.array($0) { $1.string($0.description) } }
        }
        return writer.text
    }
}

/// The problems that only one of two sets of definitions has, wherever they are written.
private struct ProblemDifference {
    let added: [Diagnostic]
    let removed: [Diagnostic]
    var isEmpty: Bool { added.isEmpty && removed.isEmpty }

    init(old: Definitions.Loaded, new: Definitions.Loaded) {
        let (before, after) = (Self.all(of: old), Self.all(of: new))
        added = Self.missing(of: after, in: before)
        removed = Self.missing(of: before, in: after)
    }

    private static func all(of side: Definitions.Loaded) -> [Diagnostic] {
        side.set.diagnostics + side.plan.diagnostics
    }

    private static func missing(of problems: [Diagnostic], in others: [Diagnostic]) -> [Diagnostic] {
        let known = Set(others.map(Key.init))
        return problems.filter { !known.contains(Key($0)) }
    }

    private struct Key: Hashable {
        let code: String
        let object: ObjectReference?
        let path: String?
        let message: String

        init(_ problem: Diagnostic) {
            code = problem.code
            object = problem.object
            path = problem.path
            message = problem.message
        }
    }
}
