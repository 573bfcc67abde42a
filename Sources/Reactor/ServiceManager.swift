internal import CLinux

/// Tells systemd what becomes of the service, where it asks for that (`Type=notify`). Without `NOTIFY_SOCKET` nothing
/// is said. Source: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html.
package struct ServiceManager: Sendable {
    private let address: SocketAddress?

    /// - Parameter environment: of the process.
    package init(environment: [String: String]) {
        address = environment["NOTIFY_SOCKET"].flatMap { $0.hasPrefix("/") || $0.hasPrefix("@") ? $0 : nil }
            .flatMap { SocketAddress(unixPath: $0) }
    }

    /// Tells systemd that the gateway serves, so that units which wait for it start.
    package func isReady() { say("READY=1\nSTATUS=serving\n") }
    /// Tells systemd that the gateway takes no new clients, and ends when those that it has are done.
    package func isStopping() { say("STOPPING=1\nSTATUS=draining\n") }
    /// Says that another process is the service's main one from now on.
    package func hasSuccessor(_ process: Int32) { say("MAINPID=\(process)\nSTATUS=serving, upgraded\n") }

    /// Never waits: a manager that does not listen does not hear it.
    private func say(_ text: String) {
        guard let address else { return }
        let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { return }
        defer { Socket.close(descriptor) }
        guard unsafe address.withKernelForm({ unsafe portico_connect(descriptor, $0, $1) }) == 0 else { return }
        var text = text
        text.withUTF8 { _ = unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }
}
