/// The form of a page.
package enum AdminFormat: String, Sendable, CaseIterable {
    case text, json
}

/// What the pages show and do; the command wires it. Called on the control plane's thread, between two
/// waits of its loop. A text that does not end with a line feed gets one.
package struct AdminHandlers {
    /// Whether traffic should be sent here, and why not.
    package var readiness: () -> (isReady: Bool, reason: String)
    /// Prometheus' text format.
    package var metrics: () -> String
    package var routes: (AdminFormat) -> String
    package var endpoints: (AdminFormat) -> String
    package var configuration: (AdminFormat) -> String
    /// Reads the configuration again. It may return at once; `done` is called on the same thread when there
    /// is something to say of it.
    package var reload: (_ done: @escaping (_ isSuccess: Bool, _ text: String) -> Void) -> Void

    package init(
        readiness: @escaping () -> (isReady: Bool, reason: String),
        metrics: @escaping () -> String,
        routes: @escaping (AdminFormat) -> String,
        endpoints: @escaping (AdminFormat) -> String,
        configuration: @escaping (AdminFormat) -> String,
        reload: @escaping (_ done: @escaping (_ isSuccess: Bool, _ text: String) -> Void) -> Void
    ) {
        self.readiness = readiness
        self.metrics = metrics
        self.routes = routes
        self.endpoints = endpoints
        self.configuration = configuration
        self.reload = reload
    }
}
