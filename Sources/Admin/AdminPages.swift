/// What a request gets.
enum AdminAnswer {
    case now(AdminResponse)
    /// What is asked for takes time: to be begun with whom to tell the answer.
    case later(begin: (_ done: @escaping (AdminResponse) -> Void) -> Void)
}

/// Finds the answer to a request. No I/O but what the pages do.
struct AdminPages {
    private let pages: [AdminPage]

    private struct Refusal: Error {
        let text: String
    }

    /// - Parameter pages: `/help`, which lists them, is added to them.
    init(_ pages: [AdminPage]) { self.pages = pages }

    /// The page's answer; 404 for an unknown path, 405 for a method that the page does not allow.
    func answer(_ request: AdminRequest, scope: AdminScope) -> AdminAnswer {
        let parts = request.target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let query = parts.count > 1 ? parts[1] : ""
        let path = String(parts.first ?? "")
        guard let page = offered(in: scope).first(where: { $0.path == (path == "/" ? "/help" : path) }) else {
            return .now(AdminResponse(404, "There is no such page.\n\n" + list(of: scope)))
        }
        guard page.allows(request.method) else {
            return .now(
                AdminResponse(
                    405, "\(page.path) does not allow this method; allowed: \(page.methods)", allow: page.methods))
        }
        switch Self.format(query, of: page) {
        case .failure(let refusal): return .now(AdminResponse(400, refusal.text))
        case .success(let format): return show(page, format)
        }
    }

    private func offered(in scope: AdminScope) -> [AdminPage] {
        let help = AdminPage("/help", .status, "this page", .text { list(of: scope) })
        return (pages + [help]).filter { $0.isOffered(in: scope) }
    }

    private func list(of scope: AdminScope) -> String {
        let lines = offered(in: scope).map { page in
            let path = page.path + String(repeating: " ", count: max(16 - page.path.count, 1))
            return "  \(page.isAction ? "POST" : "GET ") \(path)\(page.purpose)\(page.hasFormats ? Self.formats : "")\n"
        }
        return "Pages:\n" + lines.joined()
    }

    private static let formats = " (?format=json)"

    private func show(_ page: AdminPage, _ format: AdminFormat) -> AdminAnswer {
        switch page.answer {
        case .text(let text): return .now(AdminResponse(200, text()))
        case .formatted(let text):
            return .now(AdminResponse(200, text(format), content: format == .json ? .json : .text))
        case .metrics(let text): return .now(AdminResponse(200, text(), content: .metrics))
        case .readiness(let readiness):
            let (isReady, reason) = readiness()
            let line = reason.split(whereSeparator: \.isNewline).first.map(String.init)
            return .now(AdminResponse(isReady ? 200 : 503, line ?? (isReady ? "ready" : "not ready")))
        case .action(let act):
            return .later { done in
                act { isSuccess, text in done(AdminResponse(isSuccess ? 200 : 500, text)) }
            }
        }
    }

    /// The value of `format=`; any other parameter is a mistake that should not go unnoticed.
    private static func format(_ query: Substring, of page: AdminPage) -> Result<AdminFormat, Refusal> {
        var format = AdminFormat.text
        for parameter in query.split(separator: "&") {
            guard page.hasFormats, parameter.hasPrefix("format=") else {
                let known = page.hasFormats ? "the only one is format=text or format=json" : "there are none"
                return .failure(Refusal(text: "\(page.path) does not know one of the parameters; \(known)"))
            }
            guard let asked = AdminFormat(rawValue: String(parameter.dropFirst(7))) else {
                return .failure(Refusal(text: "unknown format; there are text and json"))
            }
            format = asked
        }
        return .success(format)
    }
}
