import Support
import Testing

@testable import Kubernetes

/// The client against a real kube-apiserver, version 1.20.2.
@Suite(
    .enabled(if: RealServer.isBuilt, "Tests/tools/kubernetes/build has made no kube-apiserver"), .serialized)
struct `A watch of a real API server` {
    private func service(_ name: String, _ namespace: String = "shop") -> String {
        """
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: \(name), namespace: \(namespace)}
        spec: {clusterIP: None, ports: [{name: grpc, port: 50051}]}

        """
    }

    private func gateway(_ name: String) -> String {
        """
        ---
        apiVersion: networking.istio.io/v1alpha3
        kind: Gateway
        metadata: {name: \(name), namespace: shop}
        spec: {servers: []}

        """
    }

    private let slice = """
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
        addressType: IPv4
        endpoints: null
        ports: null

        """

    @Test func `goes on over restarts, expired versions, a stopped and a wiped server`() throws {
        let server = try RealServer()
        try server.kubectl("create", "namespace", "shop")
        try server.create((0..<30).map { service("s\($0)") }.joined() + slice)
        let kinds: [ResourceKind] = [.services, .endpointSlices, .pods, .gateways]
        let client = try Client(server.access(), kinds: kinds)
        #expect(client.becomesCurrent() && client.becomesCurrent("endpointslices") && client.becomesCurrent("pods"))
        #expect(client.waits { $0.states["gateways"] == .absent })
        #expect(client.learned.now.objects.keys.count { $0.hasPrefix("services/shop/s") } == 30)
        #expect(client.learned.now.objects["endpointslices/shop/web-1"] != nil)

        // A kind that is installed later.
        try server.apply("istio")
        try server.create(gateway("g"))
        #expect(client.becomesCurrent("gateways"))
        #expect(client.waits { $0.objects["gateways/shop/g"] != nil })

        // A restart: the watch cache is empty afterwards.
        try server.control("kill-api")
        #expect(client.waits { if case .unreachable? = $0.states["services"] { true } else { false } })
        try server.control("start-api")
        try server.kubectl("delete", "service", "-n", "shop", "s0")
        try server.create(service("after"))
        #expect(client.waits { $0.objects["services/shop/after"] != nil && $0.objects["services/shop/s0"] == nil })
        #expect(client.becomesCurrent())

        // All is lost, and versions begin again: later ones were seen.
        try server.control("wipe")
        try server.kubectl("create", "namespace", "shop")
        try server.create(service("new"))
        #expect(client.waits { $0.objects.keys.filter { $0.hasPrefix("services/shop/") } == ["services/shop/new"] })
        #expect(client.becomesCurrent())
    }

    @Test func `is content with the least permissions, and names those that are missing`() throws {
        let server = try RealServer()
        try server.kubectl("create", "namespace", "shop")
        try server.kubectl("create", "serviceaccount", "-n", "shop", "gateway")
        try server.kubectl("create", "secret", "generic", "-n", "shop", "tls", "--from-literal=a=b")
        try server.kubectl("create", "secret", "generic", "-n", "shop", "other", "--from-literal=a=b")
        try server.create(role(verbs: "get"))
        let folder = TemporaryFolder()
        try writeToken(server, to: folder)
        let client = try Client(server.access(.tokenFile(folder.path + "/token")), namespaces: ["shop"])
        let (tls, other) = (SecretName(namespace: "shop", name: "tls"), SecretName(namespace: "shop", name: "other"))
        client.watch.watchSecrets([tls, other])
        let list = Permission(verb: "list", group: "", resource: "services", namespace: "shop")
        #expect(client.waits { $0.states["services/shop"] == .refused(list) })
        #expect(client.waits { $0.secrets[tls] == .current })
        let get = Permission(verb: "get", group: "", resource: "secrets", namespace: "shop", name: "other")
        #expect(client.waits { $0.secrets[other] == .refused(get) })
        #expect(
            client.waits {
                $0.messages.contains { $0.contains("verb \"watch\" on resource \"secrets\" named \"tls\"") }
            })

        // What is granted later is found.
        try server.create(role(verbs: "get, list, watch") + binding("services", rules: "services"))
        #expect(client.becomesCurrent("services/shop"))
    }

    @Test func `takes a token that was replaced, and asks nothing of a dead one`() throws {
        let server = try RealServer()
        try server.kubectl("create", "namespace", "shop")
        try server.kubectl("create", "serviceaccount", "-n", "shop", "gateway")
        try server.create(binding("services", rules: "services"))
        let folder = TemporaryFolder()
        folder.write("token", "not-a-token")
        let client = try Client(server.access(.tokenFile(folder.path + "/token")), namespaces: ["shop"])
        #expect(
            client.waits {
                if case .unreachable(_, let reason)? = $0.states["services/shop"] {
                    reason.contains("401")
                } else {
                    false
                }
            })
        try writeToken(server, to: folder)
        #expect(client.becomesCurrent("services/shop"))
    }

    @Test func `loses no request when the server asks for another connection`() throws {
        let server = try RealServer("--goaway-chance=0.02")
        let client = try Client(server.access())
        #expect(client.becomesCurrent())
        let requests = 200
        for number in 0..<requests {
            let body = #"{"metadata":{"name":"n\#(number)"}}"#
            client.watch.request(
                "POST", "/api/v1/namespaces", contentType: "application/json", body: Array(body.utf8),
                reply: client.learned.reply)
        }
        #expect(client.waits { $0.replies.count == requests })
        for reply in client.learned.now.replies {
            guard case .answer(let status, _, _) = reply, status == 201 else {
                Issue.record("\(reply)")
                continue
            }
        }
    }

    /// A Role for one Secret, bound to the service account.
    private func role(verbs: String) -> String {
        """
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata: {name: secret, namespace: shop}
        rules: [{apiGroups: [""], resources: [secrets], resourceNames: [tls], verbs: [\(verbs)]}]

        """ + binding("secret")
    }

    /// Binds a Role to the service account, and makes it too if it has rules.
    private func binding(_ name: String, rules: String? = nil) -> String {
        let role = rules.map {
            """
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: Role
            metadata: {name: \(name), namespace: shop}
            rules: [{apiGroups: [""], resources: [\($0)], verbs: [get, list, watch]}]

            """
        }
        return (role ?? "") + """
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: RoleBinding
            metadata: {name: \(name), namespace: shop}
            roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: \(name)}
            subjects: [{kind: ServiceAccount, name: gateway, namespace: shop}]

            """
    }

    private func writeToken(_ server: RealServer, to folder: TemporaryFolder) throws {
        folder.write("request", #"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}"#)
        let answer = try server.kubectl(
            "create", "--raw", "/api/v1/namespaces/shop/serviceaccounts/gateway/token", "-f", folder.path + "/request")
        let token = answer.split(separator: #""token":""#).dropFirst().first?.prefix { $0 != "\"" }
        folder.write("token", String(try #require(token)))
    }
}
