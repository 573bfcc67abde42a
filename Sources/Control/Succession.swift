package import Reactor

/// What a process has of the gateway whose place it takes, and what it needs to be followed by another one. Source:
/// docs/operations.md, Upgrade.
///
/// Thread: the main thread. Freed by: `ControlPlane`.
package final class Succession {
    /// Sockets that were open when the process began.
    package let inherited: InheritedSockets
    /// systemd, which hears that the process is ready and which one is the main process.
    let manager: ServiceManager
    /// The file of `--pid-file`, which the successor overwrites; nil: none.
    let pidFile: PIDFile?
    /// With which a successor is started.
    let arguments: [String]
    /// The gateway that has started this process, until it drains.
    private(set) var predecessor: SuccessionLink?
    /// Sockets of others than the control plane that a successor gets.
    package var furtherSockets: () -> [CInt] = { [] }
    /// Called when this process begins to serve.
    package var hasBegun: () throws(SystemError) -> Void = {}
    /// Called when another process serves.
    package var hasEnded: () -> Void = {}

    /// What this process does as successor.
    var following = SuccessorState()
    /// What it does as predecessor.
    var upgrade = UpgradeState()
    var successor: SuccessorProcess?
    var former: [SuccessorProcess] = []    // they were ended, and are waited for

    /// - Parameters:
    ///   - inherited: sockets that were open when the process began.
    ///   - environment: of the process.
    ///   - arguments: of the process, its name included.
    ///   - pidFile: names the process that serves; nil: no file does.
    package init(
        inherited: InheritedSockets, environment: [String: String], arguments: [String], pidFile: PIDFile?
    ) throws(SystemError) {
        self.inherited = inherited
        self.arguments = arguments
        self.pidFile = pidFile
        manager = ServiceManager(environment: environment)
        predecessor = try SuccessionLink(of: inherited)
    }

    /// The predecessor has nothing more to say.
    func leavePredecessor() { predecessor = nil }
}

@available(*, unavailable) extension Succession: Sendable {}
