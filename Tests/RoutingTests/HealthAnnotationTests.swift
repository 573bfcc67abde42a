import Balancing
import Manifests
import Testing

@testable import Routing

/// The annotations of a Service that have its endpoints checked.
@Suite struct `The health checks of a Service` {
    private func world(_ annotations: String) -> World {
        World(
            World.virtualService("[{route: [{destination: {host: checked}}]}]") + """
                ---
                apiVersion: v1
                kind: Service
                metadata:
                  name: checked
                  namespace: app
                  annotations: {\(annotations)}
                spec: {selector: {app: checked}, ports: [{port: 80}]}

                """)
    }

    private func policy(_ annotations: String) -> HealthCheckPolicy? {
        world(annotations).plan.clusters.first?.policies?.healthCheck
    }

    /// What is wrong, without what other suites look at.
    private func problems(_ annotations: String) -> [Diagnostic] {
        world(annotations).plan.diagnostics.filter { ["invalid-annotation", "no-effect"].contains($0.code) }
    }

    @Test(arguments: [
        ("path", "/" + String(repeating: "a", count: 1023), "a"),
        ("host", String(repeating: "a", count: 260), "a"),
        ("statuses", Array(repeating: "200", count: 32).joined(separator: ","), ",200"),
    ]) func `are refused with values that are too long`(name: String, value: String, further: String) {
        func problems(_ value: String) -> [Diagnostic] {
            self.problems("portico.dev/health-check: http, portico.dev/health-check-\(name): '\(value)'")
        }
        #expect(problems(value).isEmpty)
        #expect(problems(value + further).map(\.code) == ["invalid-annotation"])
    }

    @Test func `are made where the annotation says so, with Kubernetes' defaults`() throws {
        #expect(policy("a: b") == nil)
        let found = try #require(policy("portico.dev/health-check: tcp"))
        #expect(found == HealthCheckPolicy(method: .tcp))
        #expect((found.interval, found.timeout, found.jitter) == (.seconds(10), .seconds(1), .seconds(1)))
        #expect((found.healthyThreshold, found.unhealthyThreshold) == (1, 3))
        let quick = policy("portico.dev/health-check: tcp, portico.dev/health-check-interval: 200ms")
        #expect(quick?.jitter == .milliseconds(20), "no more than a tenth of the interval")
    }

    @Test func `have every annotation in effect, and are shown`() throws {
        let text = """
            portico.dev/health-check: http, portico.dev/health-check-path: /ready?x=1,
            portico.dev/health-check-statuses: '200, 204,300-399', portico.dev/health-check-host: 'a.com:80',
            portico.dev/health-check-port: '8081', portico.dev/health-check-interval: 3s,
            portico.dev/health-check-timeout: 500ms, portico.dev/health-check-jitter: 0s,
            portico.dev/health-check-healthy-threshold: '2', portico.dev/health-check-unhealthy-threshold: '4'
            """.split(separator: "\n").joined(separator: " ")
        let found = try #require(policy(text))
        #expect(found.path == "/ready?x=1" && found.statuses == [200...200, 204...204, 300...399])
        #expect(found.authority == "a.com:80" && found.port == 8081)
        #expect((found.interval, found.timeout, found.jitter) == (.seconds(3), .milliseconds(500), .zero))
        #expect((found.healthyThreshold, found.unhealthyThreshold) == (2, 4))
        #expect(problems(text).isEmpty)
        #expect(
            world(text).tree.contains(
                "healthCheck: method http, path /ready?x=1, statuses 200 204 300-399, host a.com:80, port 8081, "
                    + "interval 3s, timeout 500ms, jitter 0s, healthyThreshold 2, unhealthyThreshold 4\n"))
        #expect(world(text).json.contains("\"healthCheck\""))
        let call = policy("portico.dev/health-check: grpc, portico.dev/health-check-service: a.B")
        #expect(call?.method == .grpc && call?.service == "a.B")
    }

    @Test(arguments: [
        ("health-check", "HTTP"), ("health-check", "''"), ("health-check-path", "ready"),
        ("health-check-path", "'/a b'"), ("health-check-path", "'/a\\r\\nx: y'"), ("health-check-statuses", "'199'"),
        ("health-check-statuses", "2xx"),
        ("health-check-statuses", "'300-200'"), ("health-check-statuses", "'200,'"), ("health-check-host", "'a b'"),
        ("health-check-port", "'0'"), ("health-check-port", "'65536'"), ("health-check-port", "http"),
        ("health-check-interval", "'10'"), ("health-check-interval", "99ms"), ("health-check-interval", "2h"),
        ("health-check-timeout", "-1s"), ("health-check-timeout", "61s"), ("health-check-jitter", "-1s"),
        ("health-check-healthy-threshold", "'0'"), ("health-check-unhealthy-threshold", "'101'"),
        ("health-check-unhealthy-threshold", "'1.5'"), ("health-check-intervall", "10s"), ("health", "http"),
    ])
    func `are none when an annotation is not right, and it is named`(name: String, value: String) throws {
        let first = name == "health-check" ? "" : "portico.dev/health-check: http, "
        let text = "\(first)portico.dev/\(name): \(value)"
        #expect(policy(text) == nil)
        let found = try #require(problems(text).first)
        #expect(found.severity == .error && found.code == "invalid-annotation" && problems(text).count == 1)
        #expect(found.message.hasSuffix("the endpoints of Service app/checked are not checked"), "\(found.message)")
        #expect(found.place.line > 5 && found.place.column > 10, "the place of the value: \(found.place)")
    }

    @Test func `need the annotation that says what is done`() throws {
        let found = try #require(problems("portico.dev/health-check-path: /x").first)
        #expect(found.message.contains("`portico.dev/health-check` is missing"))
    }

    @Test func `of another kind do not read an annotation, and that is told`() throws {
        let text = "portico.dev/health-check: tcp, portico.dev/health-check-path: /x"
        let found = try #require(problems(text).first)
        #expect(policy(text)?.method == .tcp && found.severity == .warning && found.code == "no-effect")
    }
}
