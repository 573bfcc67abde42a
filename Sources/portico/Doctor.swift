internal import ArgumentParser
internal import Manifests
internal import Octets
internal import Reactor

struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Ask a running gateway what is wrong with the load balancer in front of it, and print what to change.",
        discussion: """
            Exit status: 0 nothing that harms requests was seen, 1 something was, 2 the gateway could not be asked.
            """)

    @Option(help: "The address of its admin interface.")
    var admin = "127.0.0.1:15000"

    @Option(help: "text or json.")
    var output = OutputForm.text

    func run() throws {
        let page = try page()
        print(page, terminator: page.hasSuffix("\n") ? "" : "\n")
        // Quotation marks of what peers have said are escaped in JSON.
        let isHarmful = output == .json ? page.contains("\"harmful\":true") : !page.hasPrefix(DoctorPage.healthy)
        if isHarmful { throw ExitStatus.problems }
    }

    /// What the gateway says, on lines that a terminal may show.
    private func page() throws -> String {
        guard let address = try FlagValues.address(admin, "--admin") else { throw ExitStatus.couldNotRun }
        do throws(AdminCall.Failure) {
            let page = try AdminCall(address).get(output == .json ? "/doctor?format=json" : "/doctor")
            guard DoctorPage.isPage(page) else {
                throw AdminCall.Failure(text: "what answers at \(address) is no admin interface of Portico's")
            }
            return page.split(separator: "\n", omittingEmptySubsequences: false).map { String($0).printable }
                .joined(separator: "\n")
        } catch {
            _ = "portico: \(error.text.printable)\n".withOctets { Output.write(Output.standardError, $0) }
            throw ExitStatus.couldNotRun
        }
    }
}
