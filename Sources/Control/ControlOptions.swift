package import Proxy
package import Reactor
package import Routing
package import Telemetry

/// What the command line says, checked.
package struct ControlOptions: Sendable {
    /// Files, folders, `-`.
    package var paths: [String] = []
    /// How many workers serve requests, each on a thread of its own; at least 1.
    package var workers = 1
    /// A Gateway's port number and the port that is bound in its place.
    package var listenMap: [UInt16: UInt16] = [:]
    /// Where routes bound to the gateway `mesh` are served; nil is nowhere.
    package var mesh: SocketAddress?
    /// How a process that is asked to end does so.
    package var drain = DrainSchedule(deregistration: usualDeregistration)
    /// How long a gateway that takes this one's place may take until it can serve.
    package var upgradeLimit = Duration.seconds(60)
    /// How long a load may take; then it is given up.
    package var loadLimit = Duration.seconds(120)
    package var compile = CompileOptions()
    /// What the workers keep to; see docs/limits.md.
    package var limits = Limits()
    /// The form of access log lines, or none.
    package var accessLog = AccessLogFormat.text
    /// The folder of Istio's agent with the identity of ISTIO_MUTUAL; nil is where it usually is.
    package var meshIdentity: String?
    /// The file of the keys of session tickets that replicas share; nil: each process has keys of its own.
    package var ticketKeys: String?
    /// The version of Portico, for metrics and the admin pages.
    package var version = "0"

    /// How long a load balancer goes on sending connections, where nobody says how long.
    package static let usualDeregistration = Duration.seconds(5)

    /// The defaults of `portico serve`.
    package init() {}
}
