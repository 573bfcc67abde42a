internal import ArgumentParser
internal import Control
internal import FoundationEssentials
internal import Reactor

/// The flags of the status of a cluster's objects.
struct StatusOptions: ParsableArguments {
    @Flag(help: "Write what was found into the status of the cluster's objects; of several replicas one does.")
    var statusWriter = false

    @Option(
        help: FlagValues.help("The most writes of a status in a second.", Self.usualRate),
        transform: FlagValues.number(1...1000))
    var statusRate = Self.usualRate

    @Option(
        help: "The name of this gateway in the status and of its Lease; gateways of one namespace need different ones.")
    var statusName = "portico"

    private static let usualRate = 10

    /// Refuses a name that a Lease cannot have. Source: RFC 1123 §2.1.
    func validate() throws {
        let isName = statusName.utf8.allSatisfy { octet in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(octet)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(octet) || octet == UInt8(ascii: "-")
        }
        guard isName, (1...50).contains(statusName.utf8.count), !statusName.hasPrefix("-"), !statusName.hasSuffix("-")
        else {
            throw ValidationError("--status-name \(statusName): write 1 to 50 of a to z, 0 to 9 and -, such as portico")
        }
    }

    /// The plan of the writer.
    /// - Parameter namespace: in which the gateway works.
    func plan(namespace: String) -> StatusWriter.Plan {
        let pod = ProcessInfo.processInfo.environment["HOSTNAME"] ?? "portico"
        var random = SystemRandomNumberGenerator()
        let number = String(random.next() as UInt64, radix: 36)
        return StatusWriter.Plan(
            namespace: namespace, name: statusName, identity: "\(pod)_\(number)", rate: statusRate)
    }
}
