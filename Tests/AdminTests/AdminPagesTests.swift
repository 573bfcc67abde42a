import Testing

@testable import Admin

@Suite struct `The admin pages` {
    private func answer(
        _ method: String, _ target: String, _ scope: AdminScope = .admin, isReady: Bool = true
    ) -> AdminResponse {
        AdminPages(handlers: .example(isReady: isReady)).answer(method: method, target: target, scope: scope)
    }

    @Test(arguments: [
        ("/healthz/ready", "serving 3 routes\n"), ("/healthz/live", "live\n"), ("/metrics", "portico_up 1\n"),
        ("/routes", "routes text\n"), ("/routes?format=json", "routes json\n"),
        ("/endpoints?format=text", "endpoints text\n"), ("/endpoints?format=json", "endpoints json\n"),
        ("/config", "config text\n"), ("/config?format=json", "config json\n"), ("/config?", "config text\n"),
    ])
    func `show what the handlers say`(target: String, body: String) {
        let answer = answer("GET", target)
        #expect(answer.status == 200)
        #expect(answer.body == body)
        #expect((answer.content == .json) == target.hasSuffix("json"))
    }

    @Test func `say why the gateway is not ready, on one line`() {
        let answer = answer("GET", "/healthz/ready", .status, isReady: false)
        #expect(answer.status == 503)
        #expect(answer.body == "draining\n")
    }

    @Test(arguments: ["/routes", "/endpoints", "/config", "/reload", "/nothing", "", "*", "/healthz/ready/", "//"])
    func `are not all there on the status listener`(target: String) {
        let answer = answer("GET", target, .status)
        #expect(answer.status == 404)
        #expect(answer.body.contains("/healthz/ready"))
        #expect(!answer.body.contains("/reload"))
    }

    @Test func `reload by POST only`() {
        #expect(answer("POST", "/reload").body == "reloaded\n")
        for method in ["GET", "HEAD", "DELETE", "post", ""] {
            #expect(answer(method, "/reload").status == 405)
            #expect(answer(method, "/reload").allow?.description == "POST")
        }
        #expect(answer("POST", "/metrics").status == 405)
        #expect(answer("POST", "/metrics").allow?.description == "GET, HEAD")
    }

    @Test func `report a reload that failed`() {
        var handlers = AdminHandlers.example(isReady: true)
        handlers.reload = { (false, "a.yaml:1:1: error: no") }
        let answer = AdminPages(handlers: handlers).answer(method: "POST", target: "/reload", scope: .admin)
        #expect(answer.status == 500)
        #expect(answer.body == "a.yaml:1:1: error: no\n")
    }

    @Test(arguments: ["/routes?format=xml", "/routes?formt=json", "/metrics?a=b", "/routes?format=json&x", "/config?="])
    func `refuse parameters they do not know`(target: String) {
        #expect(answer("GET", target).status == 400)
    }

    @Test(arguments: ["/", "/help"])
    func `list themselves`(target: String) {
        let body = answer("GET", target).body
        for path in ["/healthz/ready", "/healthz/live", "/metrics", "/routes", "/endpoints", "/config", "/reload"] {
            #expect(body.contains(path))
        }
    }
}

extension AdminHandlers {
    static func example(isReady: Bool = true, metrics: String = "portico_up 1") -> AdminHandlers {
        AdminHandlers(
            readiness: { isReady ? (true, "serving 3 routes") : (false, "draining\nfor 3 s") },
            metrics: { metrics },
            routes: { "routes \($0)" },
            endpoints: { "endpoints \($0)" },
            configuration: { "config \($0)" },
            reload: { (true, "reloaded") })
    }
}
