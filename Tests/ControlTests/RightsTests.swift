import Kubernetes
import Testing

@testable import Control

@Suite struct `The rights of a gateway` {
    private let lease = LeaseName(namespace: "edge", name: "portico-status")
    private let secrets: Set<SecretName> = [
        SecretName(namespace: "edge", name: "tls"), SecretName(namespace: "edge", name: "a"),
        SecretName(namespace: "shop", name: "ca"),
    ]

    private func granted(_ rules: String) throws -> GrantedRights {
        try GrantedRights(Array(#"{"kind":"X","status":{"resourceRules":[\#(rules)],"incomplete":false}}"#.utf8))
    }

    @Test func `are those of how it is started`() {
        let all = NeededRights.all(kinds: [.services], namespaces: [], secrets: secrets, lease: nil)
        #expect(
            all == [
                AccessRule(["list", "watch"], "services"),
                AccessRule(["get", "watch"], "secrets", names: ["a", "tls"], namespace: "edge"),
                AccessRule(["get", "watch"], "secrets", names: ["ca"], namespace: "shop"),
            ])
        let some = NeededRights.all(kinds: [.gateways], namespaces: ["shop", "b"], secrets: [], lease: lease)
        #expect(some.allSatisfy { $0.namespace != nil })
        #expect(some.filter { $0.resource == "gateways/status" }.map(\.namespace) == ["b", "shop"])
        #expect(some.filter { $0.resource == "leases" }.map(\.names) == [[], ["portico-status"]])
        #expect(!some.contains { $0.resource == "secrets" })
    }

    @Test func `are compared with what is granted`() throws {
        let needed = NeededRights.all(kinds: [.services], namespaces: [], secrets: secrets, lease: nil)
        let exact = try granted(
            #"{"verbs":["list","watch"],"apiGroups":[""],"resources":["services"]},"#
                + #"{"verbs":["get","watch"],"apiGroups":[""],"resources":["secrets"],"resourceNames":["a","tls"]},"#
                + #"{"verbs":["create"],"apiGroups":["authorization.k8s.io"],"resources":["selfsubjectrulesreviews"]}"#)
        #expect(exact.unneeded(needed, namespace: "edge").isEmpty && exact.missing(needed, namespace: "edge").isEmpty)
        #expect(exact.missing(needed, namespace: "shop") == ["get secrets named ca", "watch secrets named ca"])
        let wide = try granted(
            #"{"verbs":["get"],"apiGroups":[""],"resources":["secrets"]},"#
                + #"{"verbs":["get"],"apiGroups":["apps"],"resources":["pods"],"resourceNames":["x"]},"#
                + #"{"verbs":["watch"],"apiGroups":[""],"resources":["secrets"],"resourceNames":["tls","more"]}"#)
        #expect(
            wide.unneeded(needed, namespace: "edge") == [
                "get secrets of all names; needed: a, tls", "get pods.apps named x", "watch secrets named more",
            ])
        #expect(
            wide.missing(needed, namespace: "edge") == ["list services", "watch services", "watch secrets named a"])
        let all = try granted(#"{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}"#)
        #expect(all.missing(needed, namespace: "edge").isEmpty && all.unneeded(needed, namespace: "edge") == ["* *.*"])
    }

    @Test func `are YAML whatever they are called`() {
        let text = RoleText.yaml(
            [AccessRule(["get"], "secrets", names: ["y", "a\"b\\c\nd", "12", "null"], namespace: "n")],
            serviceAccount: "true", namespace: "n")
        #expect(text.contains(#"resourceNames: ["y", "a\"b\\c d", "12", "null"]"#), "\(text)")
        #expect(text.contains(#"  name: "true""#) && !text.contains("ClusterRole"))
        #expect(text.split(separator: "---\n").count == 2)
    }

    @Test func `of hostile answers are none`() {
        let texts = ["", "null", "[]", #"{"status":7}"#, #"{"status":{"resourceRules":[7]}}"#, #"{"status":{"#]
        for text in texts {
            #expect((try? GrantedRights(Array(text.utf8))) == nil, "\(text)")
        }
        #expect(throws: Never.self) { try GrantedRights(Array(#"{"status":{"resourceRules":null}}"#.utf8)) }
    }
}
