import Balancing
import Manifests
import Testing

/// `loadBalancer.simple` of a DestinationRule.
@Suite struct `The name of a balancing policy` {
    private func read(_ name: String) -> ManifestSet {
        let text = """
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: d}
            spec: {host: a, trafficPolicy: {loadBalancer: {simple: \(name)}}}
            """
        return ManifestReader.load(sources: [("d.yaml", Array(text.utf8))])
    }

    @Test(arguments: BalancingName.allCases) func `stands for its policy, with a word on it where one is due`(
        name: BalancingName
    ) {
        let set = read(name.rawValue)
        let rule = set.inventory.destinationRules.first
        #expect(rule?.trafficPolicy?.loadBalancer?.simple?.value.policy == name.policy)
        #expect(!set.hasErrors && set.diagnostics.isEmpty == (name.validity == .current))
    }

    @Test func `is one of Istio's`() {
        for name in ["UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"] {
            #expect(BalancingName(rawValue: name) != nil)
        }
        #expect(Set(BalancingName.allCases.map(\.rawValue)).count == BalancingName.allCases.count)
    }

    @Test func `that is none is an error which tells all names, and the nearest`() {
        let found = read("ROUND_ROBBIN").diagnostics
        #expect(found.map(\.hint) == ["did you mean `ROUND_ROBIN`?"])
        for name in BalancingName.allCases { #expect(found.first?.message.contains(name.rawValue) == true) }
    }
}
