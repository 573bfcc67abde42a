internal import ArgumentParser

@main struct Echo: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "portico-echo",
        abstract: "A backend that says who answered, and a caller that counts the answers.",
        subcommands: [Serve.self, Call.self])
}
