import Manifests
import Patterns
import Testing

@Suite struct `Regular expressions of definitions` {
    private func service(_ expressions: some Sequence<String>, name: String = "vs") -> String {
        let matches = expressions.map { "    - uri: {regex: '\($0)'}\n" }.joined()
        return """
            ---
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: \(name)}
            spec:
              hosts: [a.com]
              http:
              - match:
            \(matches)    route: [{destination: {host: a}}]

            """
    }

    private func patterns(_ set: ManifestSet) -> [Pattern] {
        set.inventory.virtualServices.flatMap(\.http).flatMap(\.matches).compactMap { match in
            if case .regex(let pattern) = match.uri { pattern } else { nil }
        }
    }

    @Test func `of one text are compiled once, also in several objects`() {
        let found = patterns(load(service(["/a.*", "/b.*", "/a.*"]) + service(["/a.*"], name: "other")))
        #expect(found.map(\.source) == ["/a.*", "/b.*", "/a.*", "/a.*"])
        #expect(Set(found.map { ObjectIdentifier($0) }).count == 2)
    }

    @Test func `have 1,024 octets at most`() {
        #expect(load(service([String(repeating: "a", count: 1024)])).diagnostics.isEmpty)
        for count in [0, 1025] {
            let set = load(service([String(repeating: "a", count: count)]))
            #expect(set.diagnostics.map(\.code) == ["invalid-regex"])
        }
    }

    @Test func `are at most so many different ones in an object`() {
        let limit = 500
        #expect(load(service((0..<limit).map { "/a\($0)" } + ["/a0"])).diagnostics.isEmpty)
        let many = load(service((0..<limit + 2).map { "/a\($0)" }))
        #expect(many.diagnostics.map(\.code) == ["too-many-regexes", "too-many-regexes"])
        let two = load(service((0..<limit).map { "/a\($0)" }) + service(["/b"], name: "other"))
        #expect(patterns(two).count == limit + 1)
    }

    /// Of public configurations, or like them; the largest has 2013 instructions.
    @Test(arguments: [
        #"^.*\.(ico|png|jpg)$"#, "/usrv(/.*)?", "/p.*e", "^/api/upload/?$", "/api/v[0-9]+/ratings", "^/users/[0-9]+$",
        "^(.*?;)?(user=dev-123)(;.*)?", "/users(/.*)?", "^(.*?;)?(user=jason)(;.*)?$", ".*Chrome.*",
        "/static/[a-zA-Z0-9._-]{0,200}/[a-zA-Z0-9._-]{0,200}", #"^\p{L}+$"#, ".{1,64}",
        "^.*(Android|iPhone|iPad|iPod|Mobile|BlackBerry|Opera Mini|IEMobile).*$",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "^/api/v1/(users|orders|products|carts|payments|shipments|invoices)/[0-9a-fA-F-]{36}(/.*)?$",
        #"(?i)^/(en|de|fr|it|es|pt|nl|pl|ru|ja|ko|zh)(-[a-z]{2})?/.*\.html?$"#, "^/[^/]+/[^/]+/[^/]+/[^/]+$",
        "/v2/[a-z0-9]+(?:[._-][a-z0-9]+)*/(manifests|blobs|tags)/.*", #"\S+@\S+\.\S+"#,
        #"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$"#,
        #"Bearer [A-Za-z0-9\-_]+\.[A-Za-z0-9\-_]+\.[A-Za-z0-9\-_]+"#,
        "(?i).*(googlebot|bingbot|yandex|baiduspider|facebookexternalhit|twitterbot|linkedinbot|slackbot).*",
    ])
    func `that people write are small enough`(expression: String) throws {
        #expect(load(service([expression])).diagnostics.isEmpty)
    }

    @Test func `that are too large are refused`() {
        #expect(load(service(["[a-z]{900}[a-z]{900}[a-z]{900}", "/b"])).diagnostics.map(\.code) == ["large-regex"])
    }
}
