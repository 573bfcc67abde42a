internal import Telemetry

/// Which pages a listener offers.
enum AdminScope {
    /// Health and metrics: safe to show to the load balancer and to Prometheus.
    case status
    /// Everything.
    case admin
}

/// What a request gets.
enum AdminAnswer {
    case now(AdminResponse)
    /// What is asked for takes time: to be begun with whom to tell the answer.
    case later(begin: (_ done: @escaping (AdminResponse) -> Void) -> Void)
}

/// Finds the answer to a request. No I/O but what the handlers do.
struct AdminPages {
    let handlers: AdminHandlers

    func answer(_ request: AdminRequest, scope: AdminScope) -> AdminAnswer {
        let parts = request.target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let query = parts.count > 1 ? parts[1] : ""
        guard let page = Page(path: String(parts.first ?? "")), page.isOffered(in: scope) else {
            return .now(AdminResponse(404, "There is no such page.\n\n" + help(scope)))
        }
        guard page.allows(request.method) else {
            return .now(
                AdminResponse(
                    405, "\(page.rawValue) does not allow this method; allowed: \(page.methods)", allow: page.methods))
        }
        switch Self.format(query, of: page) {
        case .failure(let refusal): return .now(AdminResponse(400, refusal.text))
        case .success(let format): return show(page, format, scope)
        }
    }

    private func show(_ page: Page, _ format: AdminFormat, _ scope: AdminScope) -> AdminAnswer {
        switch page {
        case .ready:
            let (isReady, reason) = handlers.readiness()
            return .now(
                AdminResponse(
                    isReady ? 200 : 503, Self.oneLine(reason, default: isReady ? "ready" : "not ready")))
        case .live: return .now(AdminResponse(200, "live"))
        case .metrics: return .now(AdminResponse(200, handlers.metrics(), content: .metrics))
        case .routes: return .now(formatted(handlers.routes(format), format))
        case .endpoints: return .now(formatted(handlers.endpoints(format), format))
        case .config: return .now(formatted(handlers.configuration(format), format))
        case .reload:
            return .later { [reload = handlers.reload] done in
                reload { isSuccess, text in done(AdminResponse(isSuccess ? 200 : 500, text)) }
            }
        case .help: return .now(AdminResponse(200, help(scope)))
        }
    }

    private func formatted(_ text: String, _ format: AdminFormat) -> AdminResponse {
        AdminResponse(200, text, content: format == .json ? .json : .text)
    }

    private func help(_ scope: AdminScope) -> String {
        let lines = Page.allCases.filter { $0.isOffered(in: scope) }.map { page in
            let path = page.rawValue + String(repeating: " ", count: max(16 - page.rawValue.count, 1))
            return "  \(page == .reload ? "POST" : "GET ") \(path)\(page.purpose)\n"
        }
        return "Pages:\n" + lines.joined()
    }

    private static func oneLine(_ text: String, default other: String) -> String {
        text.split(whereSeparator: \.isNewline).first.map(String.init) ?? other
    }

    private struct Refusal: Error {
        let text: String
    }

    /// The value of `format=`; any other parameter is a mistake that should not go unnoticed.
    private static func format(_ query: Substring, of page: Page) -> Result<AdminFormat, Refusal> {
        var format = AdminFormat.text
        for parameter in query.split(separator: "&") {
            guard page.hasFormats, parameter.hasPrefix("format=") else {
                let known = page.hasFormats ? "the only one is format=text or format=json" : "there are none"
                return .failure(Refusal(text: "\(page.rawValue) does not know one of the parameters; \(known)"))
            }
            guard let asked = AdminFormat(rawValue: String(parameter.dropFirst(7))) else {
                return .failure(Refusal(text: "unknown format; there are text and json"))
            }
            format = asked
        }
        return .success(format)
    }

    private enum Page: String, CaseIterable {
        case ready = "/healthz/ready"
        case live = "/healthz/live"
        case metrics = "/metrics"
        case routes = "/routes"
        case endpoints = "/endpoints"
        case config = "/config"
        case reload = "/reload"
        case help = "/help"

        init?(path: String) { self.init(rawValue: path == "/" ? "/help" : path) }

        func isOffered(in scope: AdminScope) -> Bool {
            switch self {
            case .ready, .live, .metrics, .help: true
            case .routes, .endpoints, .config, .reload: scope == .admin
            }
        }

        var methods: StaticString { self == .reload ? "POST" : "GET, HEAD" }
        func allows(_ method: String) -> Bool {
            self == .reload ? method == "POST" : method == "GET" || method == "HEAD"
        }

        var hasFormats: Bool { self == .routes || self == .endpoints || self == .config }

        var purpose: String {
            switch self {
            case .ready: "200 when traffic may come, else 503 and the reason"
            case .live: "200 while the process works"
            case .metrics: "metrics for Prometheus"
            case .routes: "listeners, hosts, rules and destinations (?format=json)"
            case .endpoints: "clusters and their endpoints (?format=json)"
            case .config: "the objects in effect and their problems (?format=json)"
            case .reload: "reads the configuration again"
            case .help: "this page"
            }
        }
    }
}
