internal import ArgumentParser
internal import Control
internal import FoundationEssentials
internal import Logging
internal import Reactor

/// How a process ends, and how another one takes its place.
struct EndingOptions: ParsableArguments {
    @Option(
        help: FlagValues.help(
            "How long the load balancer goes on sending connections after readiness has turned; a drain follows it.",
            FlagDuration(ControlOptions.usualDeregistration)),
        transform: FlagValues.duration())
    var deregistration = FlagDuration(ControlOptions.usualDeregistration)

    @Option(
        help: "How long streams may go on after SIGTERM; default: 40s longer than --deregistration.",
        transform: FlagValues.duration())
    var drain: FlagDuration?

    @Option(
        help: "How long after SIGTERM clients hear nothing of it; default: --deregistration, at most half of --drain.",
        transform: FlagValues.duration())
    var drainAccept: FlagDuration?

    @Option(
        help: FlagValues.help(
            "How long the process that SIGUSR2 starts may take until it can serve.",
            FlagDuration(ControlOptions().upgradeLimit)),
        transform: FlagValues.duration(from: .milliseconds(1)))
    var upgradeLimit = FlagDuration(ControlOptions().upgradeLimit)

    @Option(
        help: "A file with the number of the process that serves; none when not given.", transform: FlagValues.path)
    var pidFile: String?

    var schedule: DrainSchedule {
        DrainSchedule(
            deregistration: deregistration.value, limit: drain?.value, acceptTime: drainAccept?.value)
    }

    /// Takes over what another gateway, or systemd, has handed to this process.
    func succession(_ log: Logger) throws -> Succession {
        let environment = ProcessInfo.processInfo.environment
        do throws(SystemError) {
            return try Succession(
                inherited: InheritedSockets(environment: environment), environment: environment,
                arguments: CommandLine.arguments, pidFile: pidFile.map { PIDFile(path: $0) })
        } catch {
            log.critical("\(error)")
            throw ExitStatus.couldNotRun
        }
    }
}
