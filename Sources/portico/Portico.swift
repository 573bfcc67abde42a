internal import ArgumentParser
internal import TLS

/// The command: parse, wire, run.
@main struct Portico: ParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "portico",
        abstract: "An edge gateway that reads Istio's objects and needs no control plane.",
        subcommands: [
            Serve.self, Check.self, Routes.self, Explain.self, Diff.self, Doctor.self, RBAC.self, Version.self,
        ])

    static func main() {
        TLSMemory.wipeKeys()
        do {
            main(try EnvironmentOptions.merged(into: Array(CommandLine.arguments.dropFirst())))
        } catch {
            exit(withError: error)
        }
    }
}

struct Version: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print the version.")

    func run() { print("portico \(Portico.version)") }
}
