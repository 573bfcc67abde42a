/// What `?format=` may ask for.
package enum AdminFormat: String, Sendable, CaseIterable {
    case text, json
}

/// Which pages a listener offers.
package enum AdminScope: Sendable {
    /// Health and metrics: safe to show to the load balancer and to Prometheus.
    case status
    /// Everything.
    case admin
}

/// A page of the admin listener, perhaps also of the status listener. A new page is a value in the list that the
/// command hands to `AdminServer`, and a row of docs/admin.md, which a test compares with `/help`.
package struct AdminPage {
    /// What a page shows or does. Called on the control plane's thread, between two waits of its loop, so that it must
    /// not block. A text that does not end with a line feed gets one.
    package enum Answer {
        /// GET: a text.
        case text(() -> String)
        /// GET: the form that `?format=` asks for.
        case formatted((AdminFormat) -> String)
        /// GET: metrics in Prometheus' text format.
        case metrics(() -> String)
        /// GET: 200 when ready, else 503; and the first line of the reason.
        case readiness(() -> (isReady: Bool, reason: String))
        /// POST: does something that takes time. It may return at once; `done` is called on the same thread when
        /// there is something to say of it: 200, or 500 without success.
        case action((_ done: @escaping (_ isSuccess: Bool, _ text: String) -> Void) -> Void)
    }

    let path: String
    let scope: AdminScope
    let purpose: String
    let answer: Answer

    /// - Parameters:
    ///   - path: begins with a slash; no other page has it.
    ///   - scope: `.status` is offered by both listeners.
    ///   - purpose: one line for `/help`.
    package init(_ path: String, _ scope: AdminScope, _ purpose: String, _ answer: Answer) {
        self.path = path
        self.scope = scope
        self.purpose = purpose
        self.answer = answer
    }

    /// Whether a listener of that scope serves the page.
    func isOffered(in scope: AdminScope) -> Bool { scope == .admin || self.scope == .status }

    var isAction: Bool { if case .action = answer { true } else { false } }
    /// Whether a caller may choose between text and JSON.
    var hasFormats: Bool { if case .formatted = answer { true } else { false } }
    /// As in the header field `allow`.
    var methods: StaticString { isAction ? "POST" : "GET, HEAD" }

    /// Whether the page may be asked for by that method: POST for an action, GET and HEAD for all others.
    func allows(_ method: String) -> Bool { isAction ? method == "POST" : method == "GET" || method == "HEAD" }
}
