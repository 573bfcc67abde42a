internal import CLinux

/// What systemd and Kubernetes tell this process in its environment.
package enum EnvironmentVariable {
    /// The value of a variable; nil when it is not set. Nothing in this process changes its environment.
    package static func value(of name: String) -> String? {
        guard let text = unsafe getenv(name) else { return nil }
        return unsafe String(cString: text)
    }
}
