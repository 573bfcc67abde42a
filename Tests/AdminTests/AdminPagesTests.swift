import Reactor
import Testing

@testable import Admin

@Suite struct `The admin pages` {
    private func answer(
        _ method: String, _ target: String, _ scope: AdminScope = .admin, isReady: Bool = true
    ) -> AdminResponse {
        AdminPages(AdminPage.examples(isReady: isReady)).response(method, target, scope)
    }

    @Test(arguments: [
        ("/healthz/ready", "serving 3 routes\n"), ("/healthz/live", "live\n"), ("/metrics", "portico_up 1\n"),
        ("/routes", "routes text\n"), ("/routes?format=json", "routes json\n"),
        ("/endpoints?format=text", "endpoints text\n"), ("/endpoints?format=json", "endpoints json\n"),
        ("/config", "config text\n"), ("/config?format=json", "config json\n"), ("/config?", "config text\n"),
    ])
    func `show what their closures say`(target: String, body: String) {
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
        let pages = AdminPage.examples(reload: { $0(false, "a.yaml:1:1: error: no") })
        let answer = AdminPages(pages).response("POST", "/reload", .admin)
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

extension AdminPage {
    static func examples(
        isReady: Bool = true, metrics: String = "portico_up 1",
        reload: @escaping (@escaping (Bool, String) -> Void) -> Void = { $0(true, "reloaded") }
    ) -> [AdminPage] {
        [
            AdminPage(
                "/healthz/ready", .status, "whether it is ready",
                .readiness { isReady ? (true, "serving 3 routes") : (false, "draining\nfor 3 s") }),
            AdminPage("/healthz/live", .status, "whether it lives", .text { "live" }),
            AdminPage("/metrics", .status, "metrics", .metrics { metrics }),
            AdminPage("/routes", .admin, "routes", .formatted { "routes \($0)" }),
            AdminPage("/endpoints", .admin, "endpoints", .formatted { "endpoints \($0)" }),
            AdminPage("/config", .admin, "objects", .formatted { "config \($0)" }),
            AdminPage("/reload", .admin, "reads again", .action(reload)),
        ]
    }
}

extension AdminPages {
    /// The answer, of whatever kind.
    fileprivate func response(_ method: String, _ target: String, _ scope: AdminScope) -> AdminResponse {
        switch answer(AdminRequest(method: method, target: target), scope: scope) {
        case .now(let response): return response
        case .later(let begin):
            var response = AdminResponse(599, "never answered")
            begin { response = $0 }
            return response
        }
    }
}

@Suite struct `The door of the admin listener` {
    private func status(
        _ authority: String, origin: String? = nil, site: String? = nil, at host: String = "127.0.0.1"
    ) -> Int? {
        let door = AdminDoor(address: SocketAddress(host: host, port: 15_000))
        var request = AdminRequest(method: "POST", target: "/reload")
        (request.authority, request.origin, request.fetchSite) = (authority, origin, site)
        return door.refusal(of: request)?.status
    }

    @Test(arguments: ["localhost", "localhost:15000", "127.0.0.1:15000", "127.0.0.1", "[::1]:15000", "127.9.9.9:1"])
    func `lets programs on this machine in`(authority: String) {
        #expect(status(authority) == nil)
    }

    @Test(arguments: [
        "evil.example", "evil.example:15000", "localhost.evil.example", "10.0.0.1:15000", "", "[", "a@localhost",
    ])
    func `refuses every other name`(authority: String) {
        #expect(status(authority) == 421)
    }

    @Test func `knows its own address, and takes any address when it listens on all`() {
        #expect(status("10.0.0.1:15000", at: "10.0.0.1") == nil)
        #expect(status("10.0.0.2:15000", at: "10.0.0.1") == 421)
        #expect(status("10.0.0.2:15000", at: "0.0.0.0") == nil)
        #expect(status("evil.example", at: "0.0.0.0") == 421)
    }

    @Test func `refuses web pages of another origin`() {
        let own = "localhost:15000"
        #expect(status(own, origin: "https://evil.example") == 403)
        #expect(status(own, origin: "null") == 403)
        #expect(status(own, origin: "http://localhost:8080") == 403)
        #expect(status(own, site: "cross-site") == 403)
        #expect(status(own, site: "same-site") == 403)
        #expect(status(own, origin: "http://localhost:15000", site: "same-origin") == nil)
        #expect(status(own, site: "none") == nil)
    }
}
